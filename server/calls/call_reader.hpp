#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/lock.hpp"
#include "core/path.hpp"
#include "server/calls/parameters.hpp"

namespace locker::server {

/// The longest TTL that a client can request: 30 days.
inline constexpr core::Milliseconds ttl_max{30U * 86'400'000U};

/// Shown as the owner of locks that have none. Read as "no owner" when a client sends it, so that
/// filtering by a displayed owner finds the lock.
inline constexpr std::string_view unknown_owner = "?";

/// Checks that `text` has at most `bytes_max` bytes, is valid UTF-8 and contains no control
/// characters. The fault's message begins with `what`, such as "The owner".
[[nodiscard]] std::optional<core::Fault> check_line(std::string_view what, std::string_view text,
                                                    std::size_t bytes_max);

/// Reads and checks the inputs of a call, one after another. The first fault is kept, and all later
/// reads do nothing. A value is left unchanged if its parameter is not given.
///
///   CallReader read{request};
///   read.path(request.target.rest, path).parameters().only("token").needed_token(token);
///   if (read.refused(response)) return;
class CallReader {
 public:
  explicit CallReader(const Request& request) : request_(request) {}

  /// Parses a path that is still percent-encoded.
  CallReader& path(std::string_view url_path, core::Path& path);
  /// Parses the parameters that all later reads look up, from the query or the body, or from
  /// `object`. Call only one of the two, once.
  CallReader& parameters();
  CallReader& parameters(const boost::json::object& object);
  /// Fails if a parameter is not in `known`, a space-separated list, or is given twice.
  CallReader& only(std::string_view known);

  CallReader& owner(std::optional<std::string>& owner);
  /// Reads a path and packs it.
  CallReader& prefix(std::optional<std::string>& packed);
  CallReader& meta(std::string& meta);
  CallReader& shape(core::Shape& shape);
  /// Accepts 1 ms to `max_ttl`, or to ttl_max if `max_ttl` is zero.
  CallReader& ttl(core::Milliseconds max_ttl, std::optional<core::Milliseconds>& ttl);
  /// Reads the parameter `token` or the header Lock-Token. Giving both is a fault.
  CallReader& token(std::optional<core::Token>& token);
  /// Like token(), but fails if there is none.
  CallReader& needed_token(core::Token& token);

  CallReader& flag(std::string_view name, bool& value);
  /// Reads a number from `least` to `most`, inclusive.
  CallReader& number(std::string_view name, std::uint64_t least, std::uint64_t most,
                     std::optional<std::uint64_t>& value);
  /// Reads a duration from `least` to `most`, inclusive.
  CallReader& duration(std::string_view name, std::chrono::microseconds least,
                       std::chrono::microseconds most, std::chrono::microseconds& value);
  /// Reads any other parameter: if it is given, calls `read` with its text. `read` returns the
  /// fault.
  template <typename Read>
  CallReader& value(std::string_view name, const Read& read) {
    if (fault_) return *this;
    if (const std::string_view* const text = parameters_.find(name)) fault_ = read(*text);
    return *this;
  }
  [[nodiscard]] bool has(std::string_view name) const { return parameters_.find(name) != nullptr; }
  /// Returns the text of the parameter, empty if it is not given. Valid as long as this object.
  [[nodiscard]] std::string_view text(std::string_view name) const {
    const std::string_view* const text = parameters_.find(name);
    return text != nullptr ? *text : std::string_view{};
  }

  /// Fails with `fault` unless `is_fit`.
  CallReader& require(bool is_fit, const char* fault);
  /// Calls `check`, which returns the fault.
  template <typename Check>
  CallReader& check(const Check& check) {
    if (!fault_) fault_ = check();
    return *this;
  }

  [[nodiscard]] const std::optional<core::Fault>& fault() const { return fault_; }
  /// If there is a fault, answers 400 and returns true.
  [[nodiscard]] bool refused(Response& response) const;

 private:
  const Request& request_;
  Parameters parameters_;
  std::optional<core::Fault> fault_;
};

}  // namespace locker::server
