#ifndef BPFEMU_HELPERS_H
#define BPFEMU_HELPERS_H

/*
 * The 211 helpers of Linux 6.18 (the list is closed since 6.2) by number and prototype.
 *
 * A helper is a constant function pointer whose value is its number: clang turns a call through
 * it into the instruction "call <number>".
 */

#define BPFEMU_HELPER(number, ret, name, ...) \
	static ret (*const name)(__VA_ARGS__) __attribute__((unused)) = (ret (*)(__VA_ARGS__))(number)

struct __sk_buff;
struct bpf_dynptr;
struct bpf_fib_lookup;
struct bpf_perf_event_data;
struct bpf_perf_event_value;
struct bpf_pidns_info;
struct bpf_redir_neigh;
struct bpf_sock;
struct bpf_sock_addr;
struct bpf_sock_ops;
struct bpf_sock_tuple;
struct bpf_spin_lock;
struct bpf_sysctl;
struct bpf_tcp_sock;
struct bpf_timer;
struct bpf_tunnel_key;
struct bpf_xfrm_state;
struct btf_ptr;
struct cgroup;
struct file;
struct inode;
struct iphdr;
struct ipv6hdr;
struct linux_binprm;
struct mptcp_sock;
struct path;
struct pt_regs;
struct seq_file;
struct sk_msg_md;
struct sk_reuseport_md;
struct sockaddr;
struct socket;
struct task_struct;
struct tcp6_sock;
struct tcp_request_sock;
struct tcp_sock;
struct tcp_timewait_sock;
struct tcphdr;
struct udp6_sock;
struct unix_sock;
struct xdp_md;

BPFEMU_HELPER(1, void *, bpf_map_lookup_elem, void *map, const void *key);
BPFEMU_HELPER(2, long, bpf_map_update_elem,
	void *map, const void *key, const void *value, __u64 flags);
BPFEMU_HELPER(3, long, bpf_map_delete_elem, void *map, const void *key);
BPFEMU_HELPER(4, long, bpf_probe_read, void *dst, __u32 size, const void *unsafe_ptr);
BPFEMU_HELPER(5, __u64, bpf_ktime_get_ns, void);
BPFEMU_HELPER(6, long, bpf_trace_printk, const char *fmt, __u32 fmt_size, ...);
BPFEMU_HELPER(7, __u32, bpf_get_prandom_u32, void);
BPFEMU_HELPER(8, __u32, bpf_get_smp_processor_id, void);
BPFEMU_HELPER(9, long, bpf_skb_store_bytes,
	struct __sk_buff *skb, __u32 offset, const void *from, __u32 len, __u64 flags);
BPFEMU_HELPER(10, long, bpf_l3_csum_replace,
	struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 size);
BPFEMU_HELPER(11, long, bpf_l4_csum_replace,
	struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to, __u64 flags);
BPFEMU_HELPER(12, long, bpf_tail_call, void *ctx, void *prog_array_map, __u32 index);
BPFEMU_HELPER(13, long, bpf_clone_redirect, struct __sk_buff *skb, __u32 ifindex, __u64 flags);
BPFEMU_HELPER(14, __u64, bpf_get_current_pid_tgid, void);
BPFEMU_HELPER(15, __u64, bpf_get_current_uid_gid, void);
BPFEMU_HELPER(16, long, bpf_get_current_comm, void *buf, __u32 size_of_buf);
BPFEMU_HELPER(17, __u32, bpf_get_cgroup_classid, struct __sk_buff *skb);
BPFEMU_HELPER(18, long, bpf_skb_vlan_push, struct __sk_buff *skb, __u16 vlan_proto, __u16 vlan_tci);
BPFEMU_HELPER(19, long, bpf_skb_vlan_pop, struct __sk_buff *skb);
BPFEMU_HELPER(20, long, bpf_skb_get_tunnel_key,
	struct __sk_buff *skb, struct bpf_tunnel_key *key, __u32 size, __u64 flags);
BPFEMU_HELPER(21, long, bpf_skb_set_tunnel_key,
	struct __sk_buff *skb, struct bpf_tunnel_key *key, __u32 size, __u64 flags);
BPFEMU_HELPER(22, __u64, bpf_perf_event_read, void *map, __u64 flags);
BPFEMU_HELPER(23, long, bpf_redirect, __u32 ifindex, __u64 flags);
BPFEMU_HELPER(24, __u32, bpf_get_route_realm, struct __sk_buff *skb);
BPFEMU_HELPER(25, long, bpf_perf_event_output,
	void *ctx, void *map, __u64 flags, void *data, __u64 size);
BPFEMU_HELPER(26, long, bpf_skb_load_bytes, const void *skb, __u32 offset, void *to, __u32 len);
BPFEMU_HELPER(27, long, bpf_get_stackid, void *ctx, void *map, __u64 flags);
BPFEMU_HELPER(28, __s64, bpf_csum_diff,
	__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed);
BPFEMU_HELPER(29, long, bpf_skb_get_tunnel_opt, struct __sk_buff *skb, void *opt, __u32 size);
BPFEMU_HELPER(30, long, bpf_skb_set_tunnel_opt, struct __sk_buff *skb, void *opt, __u32 size);
BPFEMU_HELPER(31, long, bpf_skb_change_proto, struct __sk_buff *skb, __be16 proto, __u64 flags);
BPFEMU_HELPER(32, long, bpf_skb_change_type, struct __sk_buff *skb, __u32 type);
BPFEMU_HELPER(33, long, bpf_skb_under_cgroup, struct __sk_buff *skb, void *map, __u32 index);
BPFEMU_HELPER(34, __u32, bpf_get_hash_recalc, struct __sk_buff *skb);
BPFEMU_HELPER(35, __u64, bpf_get_current_task, void);
BPFEMU_HELPER(36, long, bpf_probe_write_user, void *dst, const void *src, __u32 len);
BPFEMU_HELPER(37, long, bpf_current_task_under_cgroup, void *map, __u32 index);
BPFEMU_HELPER(38, long, bpf_skb_change_tail, struct __sk_buff *skb, __u32 len, __u64 flags);
BPFEMU_HELPER(39, long, bpf_skb_pull_data, struct __sk_buff *skb, __u32 len);
BPFEMU_HELPER(40, __s64, bpf_csum_update, struct __sk_buff *skb, __wsum csum);
BPFEMU_HELPER(41, void, bpf_set_hash_invalid, struct __sk_buff *skb);
BPFEMU_HELPER(42, long, bpf_get_numa_node_id, void);
BPFEMU_HELPER(43, long, bpf_skb_change_head, struct __sk_buff *skb, __u32 len, __u64 flags);
BPFEMU_HELPER(44, long, bpf_xdp_adjust_head, struct xdp_md *xdp_md, int delta);
BPFEMU_HELPER(45, long, bpf_probe_read_str, void *dst, __u32 size, const void *unsafe_ptr);
BPFEMU_HELPER(46, __u64, bpf_get_socket_cookie, void *ctx);
BPFEMU_HELPER(47, __u32, bpf_get_socket_uid, struct __sk_buff *skb);
BPFEMU_HELPER(48, long, bpf_set_hash, struct __sk_buff *skb, __u32 hash);
BPFEMU_HELPER(49, long, bpf_setsockopt,
	void *bpf_socket, int level, int optname, void *optval, int optlen);
BPFEMU_HELPER(50, long, bpf_skb_adjust_room,
	struct __sk_buff *skb, __s32 len_diff, __u32 mode, __u64 flags);
BPFEMU_HELPER(51, long, bpf_redirect_map, void *map, __u64 key, __u64 flags);
BPFEMU_HELPER(52, long, bpf_sk_redirect_map,
	struct __sk_buff *skb, void *map, __u32 key, __u64 flags);
BPFEMU_HELPER(53, long, bpf_sock_map_update,
	struct bpf_sock_ops *skops, void *map, void *key, __u64 flags);
BPFEMU_HELPER(54, long, bpf_xdp_adjust_meta, struct xdp_md *xdp_md, int delta);
BPFEMU_HELPER(55, long, bpf_perf_event_read_value,
	void *map, __u64 flags, struct bpf_perf_event_value *buf, __u32 buf_size);
BPFEMU_HELPER(56, long, bpf_perf_prog_read_value,
	struct bpf_perf_event_data *ctx, struct bpf_perf_event_value *buf, __u32 buf_size);
BPFEMU_HELPER(57, long, bpf_getsockopt,
	void *bpf_socket, int level, int optname, void *optval, int optlen);
BPFEMU_HELPER(58, long, bpf_override_return, struct pt_regs *regs, __u64 rc);
BPFEMU_HELPER(59, long, bpf_sock_ops_cb_flags_set, struct bpf_sock_ops *bpf_sock, int argval);
BPFEMU_HELPER(60, long, bpf_msg_redirect_map,
	struct sk_msg_md *msg, void *map, __u32 key, __u64 flags);
BPFEMU_HELPER(61, long, bpf_msg_apply_bytes, struct sk_msg_md *msg, __u32 bytes);
BPFEMU_HELPER(62, long, bpf_msg_cork_bytes, struct sk_msg_md *msg, __u32 bytes);
BPFEMU_HELPER(63, long, bpf_msg_pull_data,
	struct sk_msg_md *msg, __u32 start, __u32 end, __u64 flags);
BPFEMU_HELPER(64, long, bpf_bind, struct bpf_sock_addr *ctx, struct sockaddr *addr, int addr_len);
BPFEMU_HELPER(65, long, bpf_xdp_adjust_tail, struct xdp_md *xdp_md, int delta);
BPFEMU_HELPER(66, long, bpf_skb_get_xfrm_state,
	struct __sk_buff *skb, __u32 index, struct bpf_xfrm_state *xfrm_state, __u32 size, __u64 flags);
BPFEMU_HELPER(67, long, bpf_get_stack, void *ctx, void *buf, __u32 size, __u64 flags);
BPFEMU_HELPER(68, long, bpf_skb_load_bytes_relative,
	const void *skb, __u32 offset, void *to, __u32 len, __u32 start_header);
BPFEMU_HELPER(69, long, bpf_fib_lookup,
	void *ctx, struct bpf_fib_lookup *params, int plen, __u32 flags);
BPFEMU_HELPER(70, long, bpf_sock_hash_update,
	struct bpf_sock_ops *skops, void *map, void *key, __u64 flags);
BPFEMU_HELPER(71, long, bpf_msg_redirect_hash,
	struct sk_msg_md *msg, void *map, void *key, __u64 flags);
BPFEMU_HELPER(72, long, bpf_sk_redirect_hash,
	struct __sk_buff *skb, void *map, void *key, __u64 flags);
BPFEMU_HELPER(73, long, bpf_lwt_push_encap,
	struct __sk_buff *skb, __u32 type, void *hdr, __u32 len);
BPFEMU_HELPER(74, long, bpf_lwt_seg6_store_bytes,
	struct __sk_buff *skb, __u32 offset, const void *from, __u32 len);
BPFEMU_HELPER(75, long, bpf_lwt_seg6_adjust_srh, struct __sk_buff *skb, __u32 offset, __s32 delta);
BPFEMU_HELPER(76, long, bpf_lwt_seg6_action,
	struct __sk_buff *skb, __u32 action, void *param, __u32 param_len);
BPFEMU_HELPER(77, long, bpf_rc_repeat, void *ctx);
BPFEMU_HELPER(78, long, bpf_rc_keydown, void *ctx, __u32 protocol, __u64 scancode, __u32 toggle);
BPFEMU_HELPER(79, __u64, bpf_skb_cgroup_id, struct __sk_buff *skb);
BPFEMU_HELPER(80, __u64, bpf_get_current_cgroup_id, void);
BPFEMU_HELPER(81, void *, bpf_get_local_storage, void *map, __u64 flags);
BPFEMU_HELPER(82, long, bpf_sk_select_reuseport,
	struct sk_reuseport_md *reuse, void *map, void *key, __u64 flags);
BPFEMU_HELPER(83, __u64, bpf_skb_ancestor_cgroup_id, struct __sk_buff *skb, int ancestor_level);
BPFEMU_HELPER(84, struct bpf_sock *, bpf_sk_lookup_tcp,
	void *ctx, struct bpf_sock_tuple *tuple, __u32 tuple_size, __u64 netns, __u64 flags);
BPFEMU_HELPER(85, struct bpf_sock *, bpf_sk_lookup_udp,
	void *ctx, struct bpf_sock_tuple *tuple, __u32 tuple_size, __u64 netns, __u64 flags);
BPFEMU_HELPER(86, long, bpf_sk_release, void *sock);
BPFEMU_HELPER(87, long, bpf_map_push_elem, void *map, const void *value, __u64 flags);
BPFEMU_HELPER(88, long, bpf_map_pop_elem, void *map, void *value);
BPFEMU_HELPER(89, long, bpf_map_peek_elem, void *map, void *value);
BPFEMU_HELPER(90, long, bpf_msg_push_data,
	struct sk_msg_md *msg, __u32 start, __u32 len, __u64 flags);
BPFEMU_HELPER(91, long, bpf_msg_pop_data,
	struct sk_msg_md *msg, __u32 start, __u32 len, __u64 flags);
BPFEMU_HELPER(92, long, bpf_rc_pointer_rel, void *ctx, __s32 rel_x, __s32 rel_y);
BPFEMU_HELPER(93, long, bpf_spin_lock, struct bpf_spin_lock *lock);
BPFEMU_HELPER(94, long, bpf_spin_unlock, struct bpf_spin_lock *lock);
BPFEMU_HELPER(95, struct bpf_sock *, bpf_sk_fullsock, struct bpf_sock *sk);
BPFEMU_HELPER(96, struct bpf_tcp_sock *, bpf_tcp_sock, struct bpf_sock *sk);
BPFEMU_HELPER(97, long, bpf_skb_ecn_set_ce, struct __sk_buff *skb);
BPFEMU_HELPER(98, struct bpf_sock *, bpf_get_listener_sock, struct bpf_sock *sk);
BPFEMU_HELPER(99, struct bpf_sock *, bpf_skc_lookup_tcp,
	void *ctx, struct bpf_sock_tuple *tuple, __u32 tuple_size, __u64 netns, __u64 flags);
BPFEMU_HELPER(100, long, bpf_tcp_check_syncookie,
	void *sk, void *iph, __u32 iph_len, struct tcphdr *th, __u32 th_len);
BPFEMU_HELPER(101, long, bpf_sysctl_get_name,
	struct bpf_sysctl *ctx, char *buf, unsigned long buf_len, __u64 flags);
BPFEMU_HELPER(102, long, bpf_sysctl_get_current_value,
	struct bpf_sysctl *ctx, char *buf, unsigned long buf_len);
BPFEMU_HELPER(103, long, bpf_sysctl_get_new_value,
	struct bpf_sysctl *ctx, char *buf, unsigned long buf_len);
BPFEMU_HELPER(104, long, bpf_sysctl_set_new_value,
	struct bpf_sysctl *ctx, const char *buf, unsigned long buf_len);
BPFEMU_HELPER(105, long, bpf_strtol,
	const char *buf, unsigned long buf_len, __u64 flags, long *res);
BPFEMU_HELPER(106, long, bpf_strtoul,
	const char *buf, unsigned long buf_len, __u64 flags, unsigned long *res);
BPFEMU_HELPER(107, void *, bpf_sk_storage_get, void *map, void *sk, void *value, __u64 flags);
BPFEMU_HELPER(108, long, bpf_sk_storage_delete, void *map, void *sk);
BPFEMU_HELPER(109, long, bpf_send_signal, __u32 sig);
BPFEMU_HELPER(110, __s64, bpf_tcp_gen_syncookie,
	void *sk, void *iph, __u32 iph_len, struct tcphdr *th, __u32 th_len);
BPFEMU_HELPER(111, long, bpf_skb_output, void *ctx, void *map, __u64 flags, void *data, __u64 size);
BPFEMU_HELPER(112, long, bpf_probe_read_user, void *dst, __u32 size, const void *unsafe_ptr);
BPFEMU_HELPER(113, long, bpf_probe_read_kernel, void *dst, __u32 size, const void *unsafe_ptr);
BPFEMU_HELPER(114, long, bpf_probe_read_user_str, void *dst, __u32 size, const void *unsafe_ptr);
BPFEMU_HELPER(115, long, bpf_probe_read_kernel_str, void *dst, __u32 size, const void *unsafe_ptr);
BPFEMU_HELPER(116, long, bpf_tcp_send_ack, void *tp, __u32 rcv_nxt);
BPFEMU_HELPER(117, long, bpf_send_signal_thread, __u32 sig);
BPFEMU_HELPER(118, __u64, bpf_jiffies64, void);
BPFEMU_HELPER(119, long, bpf_read_branch_records,
	struct bpf_perf_event_data *ctx, void *buf, __u32 size, __u64 flags);
BPFEMU_HELPER(120, long, bpf_get_ns_current_pid_tgid,
	__u64 dev, __u64 ino, struct bpf_pidns_info *nsdata, __u32 size);
BPFEMU_HELPER(121, long, bpf_xdp_output, void *ctx, void *map, __u64 flags, void *data, __u64 size);
BPFEMU_HELPER(122, __u64, bpf_get_netns_cookie, void *ctx);
BPFEMU_HELPER(123, __u64, bpf_get_current_ancestor_cgroup_id, int ancestor_level);
BPFEMU_HELPER(124, long, bpf_sk_assign, void *ctx, void *sk, __u64 flags);
BPFEMU_HELPER(125, __u64, bpf_ktime_get_boot_ns, void);
BPFEMU_HELPER(126, long, bpf_seq_printf,
	struct seq_file *m, const char *fmt, __u32 fmt_size, const void *data, __u32 data_len);
BPFEMU_HELPER(127, long, bpf_seq_write, struct seq_file *m, const void *data, __u32 len);
BPFEMU_HELPER(128, __u64, bpf_sk_cgroup_id, void *sk);
BPFEMU_HELPER(129, __u64, bpf_sk_ancestor_cgroup_id, void *sk, int ancestor_level);
BPFEMU_HELPER(130, long, bpf_ringbuf_output, void *ringbuf, void *data, __u64 size, __u64 flags);
BPFEMU_HELPER(131, void *, bpf_ringbuf_reserve, void *ringbuf, __u64 size, __u64 flags);
BPFEMU_HELPER(132, void, bpf_ringbuf_submit, void *data, __u64 flags);
BPFEMU_HELPER(133, void, bpf_ringbuf_discard, void *data, __u64 flags);
BPFEMU_HELPER(134, __u64, bpf_ringbuf_query, void *ringbuf, __u64 flags);
BPFEMU_HELPER(135, long, bpf_csum_level, struct __sk_buff *skb, __u64 level);
BPFEMU_HELPER(136, struct tcp6_sock *, bpf_skc_to_tcp6_sock, void *sk);
BPFEMU_HELPER(137, struct tcp_sock *, bpf_skc_to_tcp_sock, void *sk);
BPFEMU_HELPER(138, struct tcp_timewait_sock *, bpf_skc_to_tcp_timewait_sock, void *sk);
BPFEMU_HELPER(139, struct tcp_request_sock *, bpf_skc_to_tcp_request_sock, void *sk);
BPFEMU_HELPER(140, struct udp6_sock *, bpf_skc_to_udp6_sock, void *sk);
BPFEMU_HELPER(141, long, bpf_get_task_stack,
	struct task_struct *task, void *buf, __u32 size, __u64 flags);
BPFEMU_HELPER(142, long, bpf_load_hdr_opt,
	struct bpf_sock_ops *skops, void *searchby_res, __u32 len, __u64 flags);
BPFEMU_HELPER(143, long, bpf_store_hdr_opt,
	struct bpf_sock_ops *skops, const void *from, __u32 len, __u64 flags);
BPFEMU_HELPER(144, long, bpf_reserve_hdr_opt, struct bpf_sock_ops *skops, __u32 len, __u64 flags);
BPFEMU_HELPER(145, void *, bpf_inode_storage_get, void *map, void *inode, void *value, __u64 flags);
BPFEMU_HELPER(146, int, bpf_inode_storage_delete, void *map, void *inode);
BPFEMU_HELPER(147, long, bpf_d_path, const struct path *path, char *buf, __u32 sz);
BPFEMU_HELPER(148, long, bpf_copy_from_user, void *dst, __u32 size, const void *user_ptr);
BPFEMU_HELPER(149, long, bpf_snprintf_btf,
	char *str, __u32 str_size, struct btf_ptr *ptr, __u32 btf_ptr_size, __u64 flags);
BPFEMU_HELPER(150, long, bpf_seq_printf_btf,
	struct seq_file *m, struct btf_ptr *ptr, __u32 ptr_size, __u64 flags);
BPFEMU_HELPER(151, __u64, bpf_skb_cgroup_classid, struct __sk_buff *skb);
BPFEMU_HELPER(152, long, bpf_redirect_neigh,
	__u32 ifindex, struct bpf_redir_neigh *params, int plen, __u64 flags);
BPFEMU_HELPER(153, void *, bpf_per_cpu_ptr, const void *percpu_ptr, __u32 cpu);
BPFEMU_HELPER(154, void *, bpf_this_cpu_ptr, const void *percpu_ptr);
BPFEMU_HELPER(155, long, bpf_redirect_peer, __u32 ifindex, __u64 flags);
BPFEMU_HELPER(156, void *, bpf_task_storage_get,
	void *map, struct task_struct *task, void *value, __u64 flags);
BPFEMU_HELPER(157, long, bpf_task_storage_delete, void *map, struct task_struct *task);
BPFEMU_HELPER(158, struct task_struct *, bpf_get_current_task_btf, void);
BPFEMU_HELPER(159, long, bpf_bprm_opts_set, struct linux_binprm *bprm, __u64 flags);
BPFEMU_HELPER(160, __u64, bpf_ktime_get_coarse_ns, void);
BPFEMU_HELPER(161, long, bpf_ima_inode_hash, struct inode *inode, void *dst, __u32 size);
BPFEMU_HELPER(162, struct socket *, bpf_sock_from_file, struct file *file);
BPFEMU_HELPER(163, long, bpf_check_mtu,
	void *ctx, __u32 ifindex, __u32 *mtu_len, __s32 len_diff, __u64 flags);
BPFEMU_HELPER(164, long, bpf_for_each_map_elem,
	void *map, void *callback_fn, void *callback_ctx, __u64 flags);
BPFEMU_HELPER(165, long, bpf_snprintf,
	char *str, __u32 str_size, const char *fmt, __u64 *data, __u32 data_len);
BPFEMU_HELPER(166, long, bpf_sys_bpf, __u32 cmd, void *attr, __u32 attr_size);
BPFEMU_HELPER(167, long, bpf_btf_find_by_name_kind, char *name, int name_sz, __u32 kind, int flags);
BPFEMU_HELPER(168, long, bpf_sys_close, __u32 fd);
BPFEMU_HELPER(169, long, bpf_timer_init, struct bpf_timer *timer, void *map, __u64 flags);
BPFEMU_HELPER(170, long, bpf_timer_set_callback, struct bpf_timer *timer, void *callback_fn);
BPFEMU_HELPER(171, long, bpf_timer_start, struct bpf_timer *timer, __u64 nsecs, __u64 flags);
BPFEMU_HELPER(172, long, bpf_timer_cancel, struct bpf_timer *timer);
BPFEMU_HELPER(173, __u64, bpf_get_func_ip, void *ctx);
BPFEMU_HELPER(174, __u64, bpf_get_attach_cookie, void *ctx);
BPFEMU_HELPER(175, long, bpf_task_pt_regs, struct task_struct *task);
BPFEMU_HELPER(176, long, bpf_get_branch_snapshot, void *entries, __u32 size, __u64 flags);
BPFEMU_HELPER(177, long, bpf_trace_vprintk,
	const char *fmt, __u32 fmt_size, const void *data, __u32 data_len);
BPFEMU_HELPER(178, struct unix_sock *, bpf_skc_to_unix_sock, void *sk);
BPFEMU_HELPER(179, long, bpf_kallsyms_lookup_name,
	const char *name, int name_sz, int flags, __u64 *res);
BPFEMU_HELPER(180, long, bpf_find_vma,
	struct task_struct *task, __u64 addr, void *callback_fn, void *callback_ctx, __u64 flags);
BPFEMU_HELPER(181, long, bpf_loop,
	__u32 nr_loops, void *callback_fn, void *callback_ctx, __u64 flags);
BPFEMU_HELPER(182, long, bpf_strncmp, const char *s1, __u32 s1_sz, const char *s2);
BPFEMU_HELPER(183, long, bpf_get_func_arg, void *ctx, __u32 n, __u64 *value);
BPFEMU_HELPER(184, long, bpf_get_func_ret, void *ctx, __u64 *value);
BPFEMU_HELPER(185, long, bpf_get_func_arg_cnt, void *ctx);
BPFEMU_HELPER(186, int, bpf_get_retval, void);
BPFEMU_HELPER(187, int, bpf_set_retval, int retval);
BPFEMU_HELPER(188, __u64, bpf_xdp_get_buff_len, struct xdp_md *xdp_md);
BPFEMU_HELPER(189, long, bpf_xdp_load_bytes,
	struct xdp_md *xdp_md, __u32 offset, void *buf, __u32 len);
BPFEMU_HELPER(190, long, bpf_xdp_store_bytes,
	struct xdp_md *xdp_md, __u32 offset, void *buf, __u32 len);
BPFEMU_HELPER(191, long, bpf_copy_from_user_task,
	void *dst, __u32 size, const void *user_ptr, struct task_struct *tsk, __u64 flags);
BPFEMU_HELPER(192, long, bpf_skb_set_tstamp,
	struct __sk_buff *skb, __u64 tstamp, __u32 tstamp_type);
BPFEMU_HELPER(193, long, bpf_ima_file_hash, struct file *file, void *dst, __u32 size);
BPFEMU_HELPER(194, void *, bpf_kptr_xchg, void *dst, void *ptr);
BPFEMU_HELPER(195, void *, bpf_map_lookup_percpu_elem, void *map, const void *key, __u32 cpu);
BPFEMU_HELPER(196, struct mptcp_sock *, bpf_skc_to_mptcp_sock, void *sk);
BPFEMU_HELPER(197, long, bpf_dynptr_from_mem,
	void *data, __u32 size, __u64 flags, struct bpf_dynptr *ptr);
BPFEMU_HELPER(198, long, bpf_ringbuf_reserve_dynptr,
	void *ringbuf, __u32 size, __u64 flags, struct bpf_dynptr *ptr);
BPFEMU_HELPER(199, void, bpf_ringbuf_submit_dynptr, struct bpf_dynptr *ptr, __u64 flags);
BPFEMU_HELPER(200, void, bpf_ringbuf_discard_dynptr, struct bpf_dynptr *ptr, __u64 flags);
BPFEMU_HELPER(201, long, bpf_dynptr_read,
	void *dst, __u32 len, const struct bpf_dynptr *src, __u32 offset, __u64 flags);
BPFEMU_HELPER(202, long, bpf_dynptr_write,
	const struct bpf_dynptr *dst, __u32 offset, void *src, __u32 len, __u64 flags);
BPFEMU_HELPER(203, void *, bpf_dynptr_data, const struct bpf_dynptr *ptr, __u32 offset, __u32 len);
BPFEMU_HELPER(204, __s64, bpf_tcp_raw_gen_syncookie_ipv4,
	struct iphdr *iph, struct tcphdr *th, __u32 th_len);
BPFEMU_HELPER(205, __s64, bpf_tcp_raw_gen_syncookie_ipv6,
	struct ipv6hdr *iph, struct tcphdr *th, __u32 th_len);
BPFEMU_HELPER(206, long, bpf_tcp_raw_check_syncookie_ipv4, struct iphdr *iph, struct tcphdr *th);
BPFEMU_HELPER(207, long, bpf_tcp_raw_check_syncookie_ipv6, struct ipv6hdr *iph, struct tcphdr *th);
BPFEMU_HELPER(208, __u64, bpf_ktime_get_tai_ns, void);
BPFEMU_HELPER(209, long, bpf_user_ringbuf_drain,
	void *map, void *callback_fn, void *ctx, __u64 flags);
BPFEMU_HELPER(210, void *, bpf_cgrp_storage_get,
	void *map, struct cgroup *cgroup, void *value, __u64 flags);
BPFEMU_HELPER(211, long, bpf_cgrp_storage_delete, void *map, struct cgroup *cgroup);

/* With a constant index, which is what lets a JIT jump directly. */
#define bpf_tail_call_static(ctx, map, index) bpf_tail_call(ctx, (void *)(map), index)

#endif
