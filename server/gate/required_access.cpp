#include "server/gate/required_access.hpp"

#include <utility>

#include "core/url_path.hpp"
#include "server/calls/call_kind.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/several_locks.hpp"
#include "server/calls/terraform.hpp"

namespace locker::server {
namespace {

using core::Right;
using Who = RequiredAccess::Who;

RequiredAccess open_to(Who who) {
  RequiredAccess access;
  access.who = who;
  return access;
}

/// Requires the right at a path that is still percent-encoded.
void need(Right right, std::string_view url_path, RequiredAccess& access) {
  core::Path path;
  access.fault = core::parse_url_path(url_path, path);
  if (!access.fault) access.at.push_back({right, std::string{path.view().packed()}});
}

RequiredAccess at_path(std::string_view action, Right right, std::string_view url_path) {
  RequiredAccess access;
  access.action = action;
  need(right, url_path, access);
  return access;
}

RequiredAccess legacy_call(std::string_view action, Right right, std::string_view url_path) {
  RequiredAccess access = at_path(action, right, url_path);
  access.is_legacy_call = true;
  return access;
}

/// Requires the right at and below the path in the parameter `prefix`; without it, everywhere.
RequiredAccess under_prefix(std::string_view action, Right right, const Request& request) {
  RequiredAccess access;
  access.action = action;
  access.wants_prefix = true;
  std::optional<std::string> prefix;
  access.fault = CallReader{request}.parameters().prefix(prefix).fault();
  if (!access.fault) access.at.push_back({right, prefix.value_or("")});
  return access;
}

RequiredAccess acquire_one(const Request& request) {
  RequiredAccess access = at_path("acquire", Right::lock, path_of_lock(request.target));
  if (access.fault) return access;
  access.fault = CallReader{request}.parameters().token(access.lease).fault();
  return access;
}

RequiredAccess acquire_several(const Request& request) {
  RequiredAccess access;
  access.action = "acquire";
  SeveralLocks several;
  access.fault = CallReader{request}
                     .check([&] { return read_several_locks(request, several); })
                     .parameters(several.parameters)
                     .token(access.lease)
                     .fault();
  for (core::Wanted& each : several.wanted) {
    access.at.push_back({Right::lock, std::move(each.packed_path)});
  }
  return access;
}

RequiredAccess end_one(const Request& request) {
  const std::string_view url_path = path_of_lock(request.target);
  bool is_force = false;
  CallReader read{request};
  read.parameters().flag("force", is_force);
  RequiredAccess access = is_force ? at_path("force", Right::force, url_path)
                                   : at_path("release", Right::lock, url_path);
  if (read.fault()) access.fault = read.fault();
  return access;
}

RequiredAccess whole_lease(std::string_view action, Right right, const Request& request) {
  RequiredAccess access;
  access.action = action;
  access.somewhere = access.lease_right = right;
  access.fault = CallReader{request}.parameters().token(access.lease).fault();
  return access;
}

RequiredAccess for_terraform(const Request& request) {
  const bool is_unlock = request.method == Method::unlock;
  if (request.method != Method::lock && !is_unlock) return {};
  if (is_unlock && request.body.empty()) return at_path("force", Right::force, request.target.rest);
  RequiredAccess access =
      at_path(is_unlock ? "release" : "acquire", Right::lock, request.target.rest);
  core::Token token;
  if (!access.fault) access.fault = read_terraform_token(request, token);
  if (!access.fault && !is_unlock) access.lease = token;
  return access;
}

RequiredAccess for_operation(Operation operation) {
  switch (operation) {
    case Operation::healthz:
    case Operation::readyz:
    case Operation::openapi:
      return open_to(Who::anybody);
    case Operation::metrics:
      return at_path("metrics", Right::read, "/");
    case Operation::status:
      break;
  }
  RequiredAccess access;
  access.somewhere = Right::read;
  return access;
}

/// An unsupported method. Any valid key gets the answer that says so.
RequiredAccess no_method() { return open_to(Who::any_key); }

}  // namespace

RequiredAccess required_access(const Request& request) {
  const RequestTarget& target = request.target;
  switch (call_of(target, request.method)) {
    case CallKind::dohaz:
      return legacy_call("look", Right::read, target.rest);
    case CallKind::canhaz:
      return legacy_call("acquire", Right::lock, target.rest);
    case CallKind::nowant:
      return legacy_call("release", Right::lock, target.rest);
    case CallKind::acquire:
      return acquire_one(request);
    case CallKind::acquire_several:
      return acquire_several(request);
    case CallKind::release:
      return end_one(request);
    case CallKind::force:
      return under_prefix("force", Right::force, request);
    case CallKind::look:
      if (!request.reads()) return no_method();
      return at_path("look", Right::read, path_of_lock(target));
    case CallKind::list:
      if (!request.reads()) return no_method();
      return under_prefix("list", Right::read, request);
    case CallKind::lease_open:
      return whole_lease("open_lease", Right::lock, request);
    case CallKind::lease_renew:
      return whole_lease("renew", Right::lock, request);
    case CallKind::lease_look:
      if (!request.reads()) return no_method();
      return whole_lease("look", Right::read, request);
    case CallKind::lease_release:
      return whole_lease("release", Right::lock, request);
    case CallKind::events:
      return under_prefix("events", Right::read, request);
    case CallKind::terraform:
      return for_terraform(request);
    case CallKind::page:
      return request.reads() ? open_to(Who::anybody) : open_to(Who::admin_only);
    case CallKind::operations:
      return for_operation(*operation_of(target));
    case CallKind::other:
      return request.reads() && target.path == "/" ? open_to(Who::anybody)
                                                   : open_to(Who::admin_only);
    case CallKind::waited:
    case CallKind::unreadable:
      break;
  }
  return open_to(Who::admin_only);
}

}  // namespace locker::server
