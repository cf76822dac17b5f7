#pragma once

#include <string_view>

#include "server/request_handler.hpp"
#include "server/service/lock_service.hpp"

namespace locker::server {

// canhaz, nowant and dohaz: the calls of Locker 1.0b, frozen. Their answers have status 200 and
// exactly the keys they always had; bad input gets 400 {"ok": false, "error": "<sentence>"}.
// `path_text` is the target's path behind the verb, still encoded; `query` what follows its `?`.

void answer_canhaz(LockService& service, std::string_view path_text, std::string_view query,
                   const Request& request, Response& response);
void answer_nowant(LockService& service, std::string_view path_text, std::string_view query,
                   const Request& request, Response& response);
void answer_dohaz(LockService& service, std::string_view path_text, std::string_view query,
                  const Request& request, Response& response);

}  // namespace locker::server
