#pragma once

#include <string_view>

#include "core/ended_memory.hpp"
#include "core/token_use.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// {"error": "<code>", "message": "<sentence>"}; with Retry-After where trying again can help.
void answer_error(unsigned status, std::string_view code, std::string_view sentence,
                  Response& response);

/// The same, left open for more members: append `, "name": value` and a closing brace.
void begin_error(unsigned status, std::string_view code, std::string_view sentence,
                 Response& response);

/// 410: the lease was lost before; with the reason, and the administrator's words if there are any.
void answer_lease_ended(const core::EndedMemory::Ended& ended, Response& response);

/// 409: the token has something else; with the parameter that differs, what it is now, and the
/// path.
void answer_token_in_use(const core::TokenUse& use, Response& response);

// Why a server that has as many as it may have refuses; with the option that says how many.
inline constexpr std::string_view too_many_locks_sentence =
    "As many locks are held as this server may hold (--locks-max); try again later.";
inline constexpr std::string_view too_many_leases_sentence =
    "There are as many leases as this server may have (--leases-max); try again later.";
inline constexpr std::string_view too_much_memory_sentence =
    "What is held and waits takes as much memory as it may (--memory-max); try again later.";

/// 507 when the disk is full, else 503: the journal makes room.
void answer_no_room(bool is_full, Response& response);

}  // namespace locker::server
