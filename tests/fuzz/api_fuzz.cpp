// Whole calls on a lock server in this process: any method, target, headers and body. The answer is
// one that API.md knows, its JSON reads, and nothing is shown twice as held that clashes.

#include <cstdlib>
#include <filesystem>
#include <set>

#include <boost/json.hpp>

#include "server/locker.hpp"
#include "tests/fuzz/fuzz_input.hpp"

namespace {

using locker::fuzz::require;
using locker::server::Locker;

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

locker::server::Method method_of(std::string_view name) {
  using locker::server::Method;
  if (name == "GET") return Method::get;
  if (name == "HEAD") return Method::head;
  if (name == "POST") return Method::post;
  if (name == "DELETE") return Method::delete_;
  return Method::other;
}

}  // namespace

/// Lines: method, target, a token, a content type, accept; then the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view whole{reinterpret_cast<const char*>(data), size};
  // It would wait, really; and streams do not end.
  if (whole.find("wait") != std::string_view::npos || size > 8'192) return 0;
  locker::fuzz::Input input{data, size};
  locker::server::Request request;
  request.method_name = input.line();
  request.method = method_of(request.method_name);
  request.target = input.line();
  if (request.target.empty() || request.target.front() != '/') return 0;
  if (request.target.find("events") != std::string_view::npos) return 0;
  for (const char c : request.target) {
    if (c <= ' ' || c >= 0x7f) return 0;  // the parser refuses them
  }
  request.lock_token = input.line();
  request.content_type = input.line();
  request.accept = input.line();
  request.body = input.rest();
  const locker::server::Response response = server().call(request);
  require(statuses.contains(response.status), "the status is one of those that are documented",
          std::to_string(response.status));
  if (response.content_type.find("json") != std::string_view::npos && !response.body.empty()) {
    boost::system::error_code error;
    const auto parsed = boost::json::parse(response.body, error);
    require(!error, "the answer is JSON", response.body);
    const bool is_v1 = request.target.starts_with("/v1/");
    if (is_v1 && response.status >= 400) {
      require(parsed.is_object() && parsed.as_object().contains("error") &&
                  parsed.as_object().contains("message"),
              "an error of /v1 has a code and a message", std::string{response.body});
    }
  }
  return 0;
}
