#pragma once

#include <string_view>

#include "core/arbiter_answers.hpp"
#include "core/ended_memory.hpp"
#include "core/token_use.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// Answers {"error": "<code>", "message": "<sentence>"}, with Retry-After for the statuses after
/// which a retry can succeed (429, 503, 507).
void answer_error(unsigned status, std::string_view code, std::string_view sentence,
                  Response& response);

/// Like answer_error(), but leaves the object open for more members: append `, "name": value` and a
/// closing brace.
void begin_error(unsigned status, std::string_view code, std::string_view sentence,
                 Response& response);

/// Answers 405. `allowed` must have static lifetime.
void answer_wrong_method(std::string_view allowed, std::string_view sentence, Response& response);
/// Answers 405 to a method that neither /v1/locks nor /v1/leases supports.
void answer_unknown_method(const Request& request, Response& response);

/// Answers an error in the form of the 1.0b calls, {"ok": false, "error": "<sentence>"}, with
/// Retry-After as above.
void answer_legacy_error(unsigned status, std::string_view sentence, Response& response);

/// Answers 503: the server has reached its limit of locks, leases or memory. REQUIRES: `limit` is
/// too_many_locks, too_many_leases or too_much_memory.
void answer_limit(core::Outcome limit, Response& response);
/// Returns the message of answer_limit(), which names the option, for answer_legacy_error().
[[nodiscard]] std::string_view sentence_of_limit(core::Outcome limit);

/// Answers 410: the lease has ended; with the reason and, if there is one, the administrator's
/// text.
void answer_lease_ended(const core::EndedMemory::Ended& ended, Response& response);

/// Answers 409: the token is in use for something else; with the parameter that differs, its
/// current value, and the path.
void answer_token_in_use(const core::TokenUse& use, Response& response);

/// Answers 507 if the disk is full, otherwise 503: the journal is making room.
void answer_no_room(bool is_full, Response& response);

}  // namespace locker::server
