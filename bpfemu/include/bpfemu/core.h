#ifndef BPFEMU_CORE_H
#define BPFEMU_CORE_H

/*
 * Reading kernel structures wherever the running kernel has their members (CO-RE).
 *
 * Types from vmlinux.h carry preserve_access_index: clang then records every member access, and
 * the loader puts the running kernel's offsets in.
 */

/* The second argument of the builtins: what is asked (kinds 0 to 12 of CO-RE relocations). */
enum bpf_field_info_kind {
	BPF_FIELD_BYTE_OFFSET = 0,
	BPF_FIELD_BYTE_SIZE = 1,
	BPF_FIELD_EXISTS = 2,
	BPF_FIELD_SIGNED = 3,
	BPF_FIELD_LSHIFT_U64 = 4,
	BPF_FIELD_RSHIFT_U64 = 5,
};
enum bpf_type_id_kind {
	BPF_TYPE_ID_LOCAL = 0,
	BPF_TYPE_ID_TARGET = 1,
};
enum bpf_type_info_kind {
	BPF_TYPE_EXISTS = 0,
	BPF_TYPE_SIZE = 1,
	BPF_TYPE_MATCHES = 2,
};
enum bpf_enum_value_kind {
	BPF_ENUMVAL_EXISTS = 0,
	BPF_ENUMVAL_VALUE = 1,
};

/* A field is given as an expression (p->f) or as a type and a member (struct s, f). */
#define BPFEMU_FIELD(...) BPFEMU_BY_COUNT(BPFEMU_FIELD_, __VA_ARGS__)(__VA_ARGS__)
#define BPFEMU_FIELD_1(expr) (expr)
#define BPFEMU_FIELD_2(type, member) (((__typeof__(type) *)0)->member)

#define bpf_core_field_exists(field...) \
	__builtin_preserve_field_info(BPFEMU_FIELD(field), BPF_FIELD_EXISTS)
#define bpf_core_field_size(field...) \
	__builtin_preserve_field_info(BPFEMU_FIELD(field), BPF_FIELD_BYTE_SIZE)
#define bpf_core_field_offset(field...) \
	__builtin_preserve_field_info(BPFEMU_FIELD(field), BPF_FIELD_BYTE_OFFSET)
#define bpf_core_field_signed(field...) \
	__builtin_preserve_field_info(BPFEMU_FIELD(field), BPF_FIELD_SIGNED)

#define bpf_core_type_id_local(type) \
	__builtin_btf_type_id(*(__typeof__(type) *)0, BPF_TYPE_ID_LOCAL)
#define bpf_core_type_id_kernel(type) \
	__builtin_btf_type_id(*(__typeof__(type) *)0, BPF_TYPE_ID_TARGET)
#define bpf_core_type_exists(type) \
	__builtin_preserve_type_info(*(__typeof__(type) *)0, BPF_TYPE_EXISTS)
#define bpf_core_type_matches(type) \
	__builtin_preserve_type_info(*(__typeof__(type) *)0, BPF_TYPE_MATCHES)
#define bpf_core_type_size(type) \
	__builtin_preserve_type_info(*(__typeof__(type) *)0, BPF_TYPE_SIZE)
#define bpf_core_enum_value_exists(type, value) \
	__builtin_preserve_enum_value(*(__typeof__(type) *)value, BPF_ENUMVAL_EXISTS)
#define bpf_core_enum_value(type, value) \
	__builtin_preserve_enum_value(*(__typeof__(type) *)value, BPF_ENUMVAL_VALUE)

/* One probe read from where the member is on the running kernel. */
#define bpf_core_read(dst, size, src) \
	bpf_probe_read_kernel(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user(dst, size, src) \
	bpf_probe_read_user(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_str(dst, size, src) \
	bpf_probe_read_kernel_str(dst, size, (const void *)__builtin_preserve_access_index(src))
#define bpf_core_read_user_str(dst, size, src) \
	bpf_probe_read_user_str(dst, size, (const void *)__builtin_preserve_access_index(src))

#define bpf_core_cast(ptr, type) \
	((__typeof__(type) *)bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(type)))

/*
 * Bit fields: read the bytes that hold it, shift it to the top, shift it down again with its
 * sign.  PROBED reads through bpf_probe_read_kernel, the other one dereferences.
 */
#define BPFEMU_BITFIELD(word, p, field)                                                        \
	({                                                                                     \
		unsigned long long bpfemu_bits = (word);                                       \
		bpfemu_bits <<= __builtin_preserve_field_info((p)->field, BPF_FIELD_LSHIFT_U64); \
		__builtin_preserve_field_info((p)->field, BPF_FIELD_SIGNED) ?                  \
			(unsigned long long)((long long)bpfemu_bits >>                         \
					     __builtin_preserve_field_info(                    \
						     (p)->field, BPF_FIELD_RSHIFT_U64)) :      \
			bpfemu_bits >> __builtin_preserve_field_info((p)->field,               \
								     BPF_FIELD_RSHIFT_U64);    \
	})
#define BPF_CORE_READ_BITFIELD_PROBED(p, field)                                            \
	({                                                                                 \
		unsigned long long bpfemu_word = 0;                                        \
		bpf_probe_read_kernel(                                                     \
			&bpfemu_word,                                                      \
			__builtin_preserve_field_info((p)->field, BPF_FIELD_BYTE_SIZE),    \
			(const char *)(p) + __builtin_preserve_field_info(                 \
						    (p)->field, BPF_FIELD_BYTE_OFFSET));   \
		BPFEMU_BITFIELD(bpfemu_word, p, field);                                    \
	})
#define BPF_CORE_READ_BITFIELD(p, field)                                                   \
	({                                                                                 \
		const char *bpfemu_at = (const char *)(p) + __builtin_preserve_field_info( \
						    (p)->field, BPF_FIELD_BYTE_OFFSET);    \
		unsigned long long bpfemu_word = 0;                                        \
		barrier_var(bpfemu_at);                                                    \
		switch (__builtin_preserve_field_info((p)->field, BPF_FIELD_BYTE_SIZE)) {  \
		case 1:                                                                    \
			bpfemu_word = *(const unsigned char *)bpfemu_at;                   \
			break;                                                             \
		case 2:                                                                    \
			bpfemu_word = *(const unsigned short *)bpfemu_at;                  \
			break;                                                             \
		case 4:                                                                    \
			bpfemu_word = *(const unsigned int *)bpfemu_at;                    \
			break;                                                             \
		case 8:                                                                    \
			bpfemu_word = *(const unsigned long long *)bpfemu_at;              \
			break;                                                             \
		}                                                                          \
		BPFEMU_BITFIELD(bpfemu_word, p, field);                                    \
	})

/*
 * p->a->b->c, every arrow a probe read: BPF_CORE_READ(p, a, b, c).
 *
 * BPFEMU_WALK_n reads the pointer in its first member and walks on from there with n - 1
 * members; the last one is read with the function given, into the place given.
 */
#define BPFEMU_HOP(var, hop, p, a) \
	const void *var = 0;       \
	hop(&var, sizeof(var), &(p)->a)
#define BPFEMU_AS(var, p, a) ((__typeof__((p)->a))var)

#define BPFEMU_WALK_1(hop, last, dst, size, p, a) last(dst, size, &(p)->a)
#define BPFEMU_WALK_2(hop, last, dst, size, p, a, ...) \
	({ \
		BPFEMU_HOP(bpfemu_hop2, hop, p, a); \
		BPFEMU_WALK_1(hop, last, dst, size, BPFEMU_AS(bpfemu_hop2, p, a), __VA_ARGS__); \
	})
#define BPFEMU_WALK_3(hop, last, dst, size, p, a, ...) \
	({ \
		BPFEMU_HOP(bpfemu_hop3, hop, p, a); \
		BPFEMU_WALK_2(hop, last, dst, size, BPFEMU_AS(bpfemu_hop3, p, a), __VA_ARGS__); \
	})
#define BPFEMU_WALK_4(hop, last, dst, size, p, a, ...) \
	({ \
		BPFEMU_HOP(bpfemu_hop4, hop, p, a); \
		BPFEMU_WALK_3(hop, last, dst, size, BPFEMU_AS(bpfemu_hop4, p, a), __VA_ARGS__); \
	})
#define BPFEMU_WALK_5(hop, last, dst, size, p, a, ...) \
	({ \
		BPFEMU_HOP(bpfemu_hop5, hop, p, a); \
		BPFEMU_WALK_4(hop, last, dst, size, BPFEMU_AS(bpfemu_hop5, p, a), __VA_ARGS__); \
	})
#define BPFEMU_WALK_6(hop, last, dst, size, p, a, ...) \
	({ \
		BPFEMU_HOP(bpfemu_hop6, hop, p, a); \
		BPFEMU_WALK_5(hop, last, dst, size, BPFEMU_AS(bpfemu_hop6, p, a), __VA_ARGS__); \
	})
#define BPFEMU_WALK_7(hop, last, dst, size, p, a, ...) \
	({ \
		BPFEMU_HOP(bpfemu_hop7, hop, p, a); \
		BPFEMU_WALK_6(hop, last, dst, size, BPFEMU_AS(bpfemu_hop7, p, a), __VA_ARGS__); \
	})
#define BPFEMU_WALK_8(hop, last, dst, size, p, a, ...) \
	({ \
		BPFEMU_HOP(bpfemu_hop8, hop, p, a); \
		BPFEMU_WALK_7(hop, last, dst, size, BPFEMU_AS(bpfemu_hop8, p, a), __VA_ARGS__); \
	})
#define BPFEMU_WALK_9(hop, last, dst, size, p, a, ...) \
	({ \
		BPFEMU_HOP(bpfemu_hop9, hop, p, a); \
		BPFEMU_WALK_8(hop, last, dst, size, BPFEMU_AS(bpfemu_hop9, p, a), __VA_ARGS__); \
	})
#define BPFEMU_WALK(hop, last, dst, size, p, ...) \
	BPFEMU_BY_COUNT(BPFEMU_WALK_, __VA_ARGS__)(hop, last, dst, size, p, __VA_ARGS__)

/* The type of p->a->b->c. */
#define BPFEMU_LAST(p, ...) BPFEMU_BY_COUNT(BPFEMU_LAST_, __VA_ARGS__)(p, __VA_ARGS__)
#define BPFEMU_LAST_1(p, a) (p)->a
#define BPFEMU_LAST_2(p, a, ...) BPFEMU_LAST_1((p)->a, __VA_ARGS__)
#define BPFEMU_LAST_3(p, a, ...) BPFEMU_LAST_2((p)->a, __VA_ARGS__)
#define BPFEMU_LAST_4(p, a, ...) BPFEMU_LAST_3((p)->a, __VA_ARGS__)
#define BPFEMU_LAST_5(p, a, ...) BPFEMU_LAST_4((p)->a, __VA_ARGS__)
#define BPFEMU_LAST_6(p, a, ...) BPFEMU_LAST_5((p)->a, __VA_ARGS__)
#define BPFEMU_LAST_7(p, a, ...) BPFEMU_LAST_6((p)->a, __VA_ARGS__)
#define BPFEMU_LAST_8(p, a, ...) BPFEMU_LAST_7((p)->a, __VA_ARGS__)
#define BPFEMU_LAST_9(p, a, ...) BPFEMU_LAST_8((p)->a, __VA_ARGS__)

#define BPFEMU_READ(hop, p, ...)                                                        \
	({                                                                              \
		__typeof__(BPFEMU_LAST((p), __VA_ARGS__)) bpfemu_value;                 \
		BPFEMU_WALK(hop, hop, (void *)&bpfemu_value, sizeof(bpfemu_value), (p), \
			    __VA_ARGS__);                                               \
		bpfemu_value;                                                           \
	})

#define BPF_CORE_READ(p, members...) BPFEMU_READ(bpf_core_read, p, members)
#define BPF_CORE_READ_USER(p, members...) BPFEMU_READ(bpf_core_read_user, p, members)
#define BPF_PROBE_READ(p, members...) BPFEMU_READ(bpf_probe_read_kernel, p, members)
#define BPF_PROBE_READ_USER(p, members...) BPFEMU_READ(bpf_probe_read_user, p, members)

#define BPF_CORE_READ_INTO(dst, p, members...) \
	BPFEMU_WALK(bpf_core_read, bpf_core_read, (void *)(dst), sizeof(*(dst)), (p), members)
#define BPF_CORE_READ_USER_INTO(dst, p, members...)                                         \
	BPFEMU_WALK(bpf_core_read_user, bpf_core_read_user, (void *)(dst), sizeof(*(dst)), (p), \
		    members)
#define BPF_CORE_READ_STR_INTO(dst, p, members...)                                          \
	BPFEMU_WALK(bpf_core_read, bpf_core_read_str, (void *)(dst), sizeof(*(dst)), (p),   \
		    members)
#define BPF_CORE_READ_USER_STR_INTO(dst, p, members...)                                     \
	BPFEMU_WALK(bpf_core_read_user, bpf_core_read_user_str, (void *)(dst), sizeof(*(dst)), \
		    (p), members)
#define BPF_PROBE_READ_INTO(dst, p, members...)                                             \
	BPFEMU_WALK(bpf_probe_read_kernel, bpf_probe_read_kernel, (void *)(dst),            \
		    sizeof(*(dst)), (p), members)
#define BPF_PROBE_READ_STR_INTO(dst, p, members...)                                         \
	BPFEMU_WALK(bpf_probe_read_kernel, bpf_probe_read_kernel_str, (void *)(dst),        \
		    sizeof(*(dst)), (p), members)

#endif
