#pragma once

#include <string_view>

#include "server/lock_service.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

/// The calls of /v1 but /v1/status: locks, leases, events. API.md describes them. Thread-safe.
class V1 {
 public:
  explicit V1(LockService& service) : service_(service) {}
  /// False when there is no such call. `path`: the whole target but its query.
  [[nodiscard]] bool answer(std::string_view path, std::string_view query, const Request& request,
                            Response& response);

 private:
  void locks(std::string_view query, const Request& request, Response& response);
  void lock_at(std::string_view path, std::string_view query, const Request& request,
               Response& response);
  void list(std::string_view query, const Request& request, Response& response);
  void look(std::string_view path, std::string_view query, const Request& request,
            Response& response);
  void release(std::string_view path, std::string_view query, const Request& request,
               Response& response);
  void leases(std::string_view query, const Request& request, Response& response);
  void open_lease(std::string_view query, const Request& request, Response& response);
  void renew(std::string_view query, const Request& request, Response& response);
  void look_at_lease(std::string_view query, const Request& request, Response& response);
  void release_all(std::string_view query, const Request& request, Response& response);
  void events(std::string_view query, const Request& request, Response& response);

  LockService& service_;
};

}  // namespace locker::server
