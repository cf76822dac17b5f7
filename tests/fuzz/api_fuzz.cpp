// Whole calls on a lock server in this process: any method, target, headers and body. The answer is
// one that API.md knows, its JSON reads, and the list never shows two locks of different leases
// that clash.

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "server/locker.hpp"
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/histories/rules.hpp"

namespace {

using locker::fuzz::require;
using locker::server::Locker;
using locker::server::Method;
using locker::server::Request;
using locker::server::RequestTarget;
using locker::server::Response;

Locker& server() {
  static const std::unique_ptr<Locker> opened = [] {
    char name[] = "/tmp/locker-fuzz-XXXXXX";
    require(::mkdtemp(name) != nullptr, "a directory can be made");
    static const std::string directory = name;
    std::atexit([] { std::filesystem::remove_all(directory); });
    Locker::Options options;
    options.file = directory + "/locks.db";
    options.durability = locker::persistence::Durability::none;
    options.service.limits.locks_max = 1'000;
    options.service.default_ttl = locker::core::Milliseconds{1'000};
    options.service.max_ttl = locker::core::Milliseconds{1'000};
    auto locker = Locker::open(options);
    require(locker.has_value(), "the store opens");
    return std::move(*locker);
  }();
  return *opened;
}

const std::set<unsigned> statuses{200, 201, 204, 400, 403, 404, 405, 406, 408, 409, 410,
                                  411, 413, 414, 415, 422, 423, 429, 431, 503, 507};

Method method_of(std::string_view name) {
  if (name == "GET") return Method::get;
  if (name == "HEAD") return Method::head;
  if (name == "POST") return Method::post;
  if (name == "DELETE") return Method::delete_;
  if (name == "LOCK") return Method::lock;
  if (name == "UNLOCK") return Method::unlock;
  return Method::other;
}

/// In the list.
struct Held {
  std::string path;
  locker::histories::Shape shape;
  std::string owner;
  std::uint64_t fence = 0;
};

std::string text_of(const boost::json::object& object, std::string_view name) {
  const boost::json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{value->get_string()} : "";
}

Response call(Method method, std::string_view name, std::string_view target) {
  Request request;
  request.method = method;
  request.method_name = name;
  request.target = RequestTarget{target};
  Response response = server().call(request);
  require(response.status < 500, "a call of the checker's own is answered", response.body);
  return response;
}

/// In order of grant.
std::vector<Held> list_locks() {
  std::vector<Held> all;
  for (std::string after;;) {
    const Response page = call(Method::get, "GET", "/v1/locks?limit=1000" + after);
    const boost::json::value parsed = boost::json::parse(page.body);
    for (const boost::json::value& each : parsed.at("locks").as_array()) {
      const boost::json::object& lock = each.as_object();
      all.push_back({text_of(lock, "path"),
                     {text_of(lock, "mode") == "shared", lock.at("lock_parents").as_bool(),
                      lock.at("lock_children").as_bool()},
                     text_of(lock, "owner"),
                     lock.at("fence").to_number<std::uint64_t>()});
    }
    const std::string next = text_of(parsed.as_object(), "next");
    if (next.empty()) return all;
    after = "&after=" + next;
  }
}

/// By fence, of grants whose answers tell both: those of /v1. The others' requests can have been by
/// the rule of the 1.0b calls, which does not ask for their own flags.
std::map<std::uint64_t, std::string> tokens_by_fence;

bool may_clash(const Held& earlier, const Held& later) {
  using namespace locker::histories;
  if (earlier.fence == later.fence) return true;
  const auto its = tokens_by_fence.find(later.fence);
  const bool is_known = its != tokens_by_fence.end();
  if (earlier.owner == later.owner) {
    const auto others = tokens_by_fence.find(earlier.fence);
    const bool both_are_known = is_known && others != tokens_by_fence.end();
    if (!both_are_known || its->second == others->second) return true;
  }
  if (is_known) return !clash(earlier.path, earlier.shape, later.path, later.shape);
  return (earlier.shape.is_shared && later.shape.is_shared) ||
         !blocks(earlier.path, earlier.shape, later.path);
}

void check_list() {
  const std::vector<Held> all = list_locks();
  std::map<std::uint64_t, std::string> known;
  for (std::size_t later = 0; later < all.size(); ++later) {
    const auto token = tokens_by_fence.find(all[later].fence);
    if (token != tokens_by_fence.end()) known.insert(*token);
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      require(may_clash(all[earlier], all[later]), "locks of different leases do not clash",
              all[earlier].path + " of " + all[earlier].owner + " and " + all[later].path + " of " +
                  all[later].owner);
    }
  }
  tokens_by_fence = std::move(known);  // the others are held no more
}

/// Else what is held would soon be in everybody's way. A token whose lease was forced is of no use
/// any more, so that is for the others.
void let_go_now_and_then() {
  static int calls = 0;
  if (++calls % 300 != 0) return;
  for (const auto& [fence, token] : tokens_by_fence) {
    static_cast<void>(call(Method::delete_, "DELETE", "/v1/leases?token=" + token));
  }
  for (int again = 0; again < 2; ++again) {  // what has a lock-delay cools first
    static_cast<void>(
        call(Method::delete_, "DELETE", "/v1/locks?force=true&cooling=true&prefix=/"));
  }
  require(list_locks().empty(), "what is forced is gone");
}

}  // namespace

/// Lines: method, target, a token, a content type, accept; then the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view whole{reinterpret_cast<const char*>(data), size};
  // It would wait, really; and streams do not end.
  if (whole.find("wait") != std::string_view::npos || size > 8'192) return 0;
  locker::fuzz::Input input{data, size};
  Request request;
  request.method_name = input.line();
  request.method = method_of(request.method_name);
  const std::string_view target = input.line();
  if (target.empty() || target.front() != '/') return 0;
  if (target.find("events") != std::string_view::npos) return 0;
  for (const char c : target) {
    if (c <= ' ' || c >= 0x7f) return 0;  // the parser refuses them
  }
  request.target = RequestTarget{target};
  if (const auto token = input.line(); !token.empty()) request.lock_token = token;
  request.content_type = input.line();
  request.accept = input.line();
  request.body = input.rest();
  const Response response = server().call(request);
  require(statuses.contains(response.status), "the status is one of those that are documented",
          std::to_string(response.status));
  if (response.content_type.find("json") != std::string_view::npos && !response.body.empty()) {
    boost::system::error_code error;
    const auto parsed = boost::json::parse(response.body, error);
    require(!error, "the answer is JSON", response.body);
    const bool is_v1 = target.starts_with("/v1/");
    if (is_v1 && response.status >= 400) {
      require(parsed.is_object() && parsed.as_object().contains("error") &&
                  parsed.as_object().contains("message"),
              "an error of /v1 has a code and a message", std::string{response.body});
    }
    // What Terraform is answered is its own.
    if (is_v1 && parsed.is_object() && parsed.get_object().contains("fence")) {
      const std::string token = text_of(parsed.get_object(), "token");
      const auto fence = parsed.at("fence").to_number<std::uint64_t>(error);
      if (!token.empty() && !error) tokens_by_fence[fence] = token;
    }
  }
  const bool can_grant = !request.reads() || target.starts_with("/canhaz");
  if (can_grant && response.status < 300) check_list();
  let_go_now_and_then();
  return 0;
}
