#include "core/access_rule.hpp"

#include <algorithm>
#include <optional>

#include "core/url_path.hpp"

namespace locker::core {
namespace {

constexpr Right all_rights[] = {Right::read, Right::lock, Right::force, Right::admin};

std::optional<Right> parse_right(std::string_view text) {
  for (const Right right : all_rights) {
    if (name_of(right) == text) return right;
  }
  return std::nullopt;
}

bool includes(Right given, Right wanted) {
  return given == wanted || given == Right::admin || wanted == Right::read;
}

}  // namespace

std::string_view name_of(Right right) {
  switch (right) {
    case Right::read:
      return "read";
    case Right::lock:
      return "lock";
    case Right::force:
      return "force";
    case Right::admin:
      return "admin";
  }
  return "";
}

boost::system::result<AccessRule, Fault> parse_access_rule(std::string_view right,
                                                           std::string_view path) {
  const auto parsed = parse_right(right);
  if (!parsed) return Fault{"a rule must begin with read, lock, force or admin"};
  if (!path.starts_with('/')) {
    return Fault{std::string{right} + " must be followed by a path that starts with a slash"};
  }
  Path read;
  if (const auto fault = parse_url_path(path, read)) return Fault{fault->message};
  std::string canonical;
  append_url_path(read, canonical);
  if (canonical != path) return Fault{"write the path as " + canonical};
  if (*parsed == Right::admin && !read.view().is_root()) {
    return Fault{"admin applies to the whole server: write admin /"};
  }
  return AccessRule{*parsed, std::string{read.view().packed()}};
}

bool is_allowed(const std::vector<AccessRule>& rules, Right right, PathView path) {
  return std::any_of(rules.begin(), rules.end(), [&](const AccessRule& rule) {
    const PathView prefix{rule.packed_path};
    return includes(rule.right, right) && (prefix == path || prefix.is_ancestor_of(path));
  });
}

bool is_key_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), fits);
}

}  // namespace locker::core
