#pragma once

#include <string_view>

#include "server/lock_service.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// The calls of /v1 but /v1/status and those that acquire: locks, leases, events. API.md describes
/// them. Each answers a method that it has not with 405. Thread-safe.
class V1 {
 public:
  explicit V1(LockService& service) : service_(service) {}

  void list(std::string_view query, const Request& request, Response& response);
  /// `path` still encoded.
  void look(std::string_view path, std::string_view query, const Request& request,
            Response& response);
  /// One path, for its holder or, with force=true, for an administrator. `path` as above.
  void release(std::string_view path, std::string_view query, const Request& request,
               Response& response);
  void open_lease(std::string_view query, const Request& request, Response& response);
  void renew(std::string_view query, const Request& request, Response& response);
  void look_at_lease(std::string_view query, const Request& request, Response& response);
  void release_all(std::string_view query, const Request& request, Response& response);
  void events(std::string_view query, const Request& request, Response& response);
  /// /v1/openapi.json.
  void describe(const Request& request, Response& response);

 private:
  LockService& service_;
};

}  // namespace locker::server
