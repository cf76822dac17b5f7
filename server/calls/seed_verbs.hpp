#pragma once

#include <string_view>

#include "server/lock_service.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// canhaz, nowant and dohaz: the calls of Locker 1.0b, frozen. Their answers have status 200 and
/// exactly the keys they always had; bad input gets 400 {"ok": false, "error": "<sentence>"}.
class SeedVerbs {
 public:
  explicit SeedVerbs(LockService& service) : service_(service) {}

  /// `path` is the target's path behind the verb, still encoded; `query` what follows its `?`.
  void canhaz(std::string_view path, std::string_view query, const Request&, Response&);
  void nowant(std::string_view path, std::string_view query, const Request&, Response&);
  void dohaz(std::string_view path, std::string_view query, const Request&, Response&);

 private:
  LockService& service_;
};

}  // namespace locker::server
