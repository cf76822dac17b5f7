#pragma once

#include "server/http/refusal.hpp"

// Refusals of a request before its meaning is looked at.
namespace locker::server {

inline constexpr Refusal bad_syntax{
    400, "bad_request",
    "Send well-formed HTTP: a request line, then fields `Name: value`, "
    "each line ended by CR LF."};
inline constexpr Refusal bad_line_end{400, "bad_request",
                                      "End every line with CR LF, not with LF alone."};
inline constexpr Refusal folded_line{
    400, "bad_request", "Put every header field on one line; folded lines are not accepted."};
inline constexpr Refusal empty_lines{400, "bad_request", "Send a request instead of empty lines."};
inline constexpr Refusal bad_target{
    400, "bad_request",
    "Ask for a path that starts with a slash, in printable ASCII without "
    "#; percent-encode everything else."};
inline constexpr Refusal bad_host{400, "bad_request", "Send exactly one Host field."};
inline constexpr Refusal unfit_host{
    400, "bad_request",
    "Send a name or an address as Host, optionally followed by `:` and a port."};
inline constexpr Refusal bad_length{400, "bad_request",
                                    "Send one Content-Length of at most ten digits."};
inline constexpr Refusal unwanted_body{
    400, "bad_request",
    "Send no body with GET, HEAD or DELETE; parameters go into the "
    "query."};
inline constexpr Refusal repeated_secret{400, "bad_request",
                                         "Send the fields Lock-Token and Authorization once only."};
inline constexpr Refusal transfer_encoding{
    411, "length_required",
    "Send the body with Content-Length, or with "
    "Transfer-Encoding: chunked, once, and no other coding."};
inline constexpr Refusal bad_chunk{
    400, "bad_request",
    "Send each chunk as its size in at most eight hexadecimal digits, CR LF, that many bytes, CR "
    "LF; without extensions or trailers."};
inline constexpr Refusal body_too_large{413, "body_too_large",
                                        "Send a smaller body: at most 64 KiB."};
inline constexpr Refusal large_body_too_large{413, "body_too_large",
                                              "Send a smaller body: at most 1 MiB."};
inline constexpr Refusal target_too_long{414, "target_too_long", "Use a shorter path or query."};
inline constexpr Refusal bad_expectation{417, "expectation_failed",
                                         "Expect nothing but 100-continue."};
inline constexpr Refusal header_too_large{431, "header_too_large",
                                          "Send fewer or shorter header fields."};
inline constexpr Refusal bad_version{505, "version_not_supported", "Use HTTP/1.1."};

}  // namespace locker::server
