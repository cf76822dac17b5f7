#include "server/calls/call_kind.hpp"

namespace locker::server {
namespace {

CallKind call_of_v1(std::string_view path, Method method) {
  constexpr std::string_view locks = "/v1/locks";
  if (path.starts_with(locks)) {
    const bool is_one = path.size() > locks.size() && path[locks.size()] == '/';
    if (!is_one && path.size() != locks.size()) return CallKind::other;
    if (method == Method::post) return is_one ? CallKind::acquire : CallKind::acquire_several;
    if (method == Method::delete_) return is_one ? CallKind::release : CallKind::force;
    return is_one ? CallKind::look : CallKind::list;
  }
  if (path == "/v1/leases/renew") return CallKind::lease_renew;
  if (path == "/v1/leases") {
    if (method == Method::post) return CallKind::lease_open;
    return method == Method::delete_ ? CallKind::lease_release : CallKind::lease_look;
  }
  return path == "/v1/events" ? CallKind::events : CallKind::other;
}

}  // namespace

std::string_view name_of(CallKind call) {
  switch (call) {
    case CallKind::canhaz:
      return "canhaz";
    case CallKind::nowant:
      return "nowant";
    case CallKind::dohaz:
      return "dohaz";
    case CallKind::acquire:
      return "acquire";
    case CallKind::acquire_several:
      return "acquire_several";
    case CallKind::waited:
      return "waited";
    case CallKind::release:
      return "release";
    case CallKind::force:
      return "force";
    case CallKind::look:
      return "look";
    case CallKind::list:
      return "list";
    case CallKind::lease_open:
      return "lease_open";
    case CallKind::lease_renew:
      return "lease_renew";
    case CallKind::lease_look:
      return "lease_look";
    case CallKind::lease_release:
      return "lease_release";
    case CallKind::events:
      return "events";
    case CallKind::terraform:
      return "terraform";
    case CallKind::page:
      return "page";
    case CallKind::operations:
      return "operations";
    case CallKind::other:
      return "other";
    case CallKind::unreadable:
      break;
  }
  return "unreadable";
}

CallKind call_of(const RequestTarget& target, Method method) {
  if (target.verb == "/dohaz") return CallKind::dohaz;
  if (target.verb == "/canhaz") return CallKind::canhaz;
  if (target.verb == "/nowant") return CallKind::nowant;
  if (target.verb == "/terraform") return CallKind::terraform;
  if (target.verb == "/ui") return CallKind::page;
  const CallKind call = target.verb == "/v1" ? call_of_v1(target.path, method) : CallKind::other;
  return call == CallKind::other && operation_of(target) ? CallKind::operations : call;
}

std::optional<Operation> operation_of(const RequestTarget& target) {
  if (target.path == "/healthz") return Operation::healthz;
  if (target.path == "/readyz") return Operation::readyz;
  if (target.path == "/metrics") return Operation::metrics;
  if (target.path == "/v1/status") return Operation::status;
  if (target.path == "/v1/openapi.json") return Operation::openapi;
  return std::nullopt;
}

std::string_view path_of_lock(const RequestTarget& target) {
  return target.rest.substr(std::string_view{"/locks"}.size());
}

}  // namespace locker::server
