#include "server/calls/call_kind.hpp"

#include <gtest/gtest.h>

namespace locker::server {
namespace {

TEST(CallKind, OfEveryCall) {
  using enum Method;
  using Kind = CallKind;
  const struct {
    Method method;
    std::string_view target;
    Kind expected;
  } rows[] = {
      {get, "/canhaz/a?id=x", Kind::canhaz},
      {get, "/nowant", Kind::nowant},
      {get, "/dohaz/v1/locks", Kind::dohaz},
      {post, "/v1/locks/a", Kind::acquire},
      {post, "/v1/locks/", Kind::acquire},
      {post, "/v1/locks?x", Kind::acquire_several},
      {delete_, "/v1/locks/a?force=true", Kind::release},
      {delete_, "/v1/locks?force=true", Kind::force},
      {head, "/v1/locks/a/b", Kind::look},
      {other, "/v1/locks/a", Kind::look},
      {get, "/v1/locks", Kind::list},
      {lock, "/v1/locks", Kind::list},
      {post, "/v1/leases", Kind::lease_open},
      {post, "/v1/leases/renew?token=x", Kind::lease_renew},
      {get, "/v1/leases/renew", Kind::lease_renew},
      {get, "/v1/leases", Kind::lease_look},
      {other, "/v1/leases", Kind::lease_look},
      {delete_, "/v1/leases", Kind::lease_release},
      {get, "/v1/events?prefix=/a", Kind::events},
      {lock, "/terraform/a", Kind::terraform},
      {get, "/ui/page.js", Kind::page},
      {get, "/ui", Kind::page},
      {get, "/healthz", Kind::operations},
      {head, "/readyz?x", Kind::operations},
      {get, "/metrics", Kind::operations},
      {post, "/v1/status", Kind::operations},
      {get, "/v1/openapi.json", Kind::operations},
      {get, "/", Kind::other},
      {get, "/v1", Kind::other},
      {post, "/v1/locksmith", Kind::other},
      {get, "/v1/leases/", Kind::other},
      {get, "/v1/status/a", Kind::other},
      {get, "/healthz/a", Kind::other},
      {get, "/canhazx", Kind::other},
      {get, "//v1/locks", Kind::other},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(name_of(call_of(RequestTarget{row.target}, row.method)), name_of(row.expected))
        << row.target;
  }
  for (const auto& row : rows) {
    EXPECT_EQ(operation_of(RequestTarget{row.target}).has_value(), row.expected == Kind::operations)
        << row.target;
  }
  EXPECT_EQ(path_of_lock(RequestTarget{"/v1/locks/a/%20?x=/y"}), "/a/%20");
  EXPECT_EQ(path_of_lock(RequestTarget{"/v1/locks/"}), "/");
}

}  // namespace
}  // namespace locker::server
