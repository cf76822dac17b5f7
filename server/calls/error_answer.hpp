#pragma once

#include <string_view>

#include "core/arbiter_answers.hpp"
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

/// 405. `allowed` is of static lifetime.
void answer_wrong_method(std::string_view allowed, std::string_view sentence, Response& response);
/// The same of a method that neither locks nor leases know.
void answer_unknown_method(const Request& request, Response& response);

/// An error as the 1.0b calls tell it: {"ok": false, "error": "<sentence>"}; with Retry-After as
/// above.
void answer_legacy_error(unsigned status, std::string_view sentence, Response& response);

/// 503: the server has as many locks or leases, or as much memory, as it may have. REQUIRES:
/// `limit` is too_many_locks, too_many_leases or too_much_memory.
void answer_limit(core::Outcome limit, Response& response);
/// What that says, which names the option; for answer_legacy_error().
[[nodiscard]] std::string_view sentence_of_limit(core::Outcome limit);

/// 410: the lease was lost before; with the reason, and the administrator's words if there are any.
void answer_lease_ended(const core::EndedMemory::Ended& ended, Response& response);

/// 409: the token has something else; with the parameter that differs, what it is now, and the
/// path.
void answer_token_in_use(const core::TokenUse& use, Response& response);

/// 507 when the disk is full, else 503: the journal makes room.
void answer_no_room(bool is_full, Response& response);

}  // namespace locker::server
