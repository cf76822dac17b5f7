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

/// The longest TTL that can be asked for: 30 days.
inline constexpr core::Milliseconds ttl_max{30U * 86'400'000U};

/// As an owner is shown that nobody named. Who names this one has named none, so that what is shown
/// by it is what is found by it.
inline constexpr std::string_view unknown_owner = "?";

/// Whether `text` has so many bytes at most, is valid UTF-8 and has no control characters; the
/// fault begins with `what`, such as "The owner".
[[nodiscard]] std::optional<core::Fault> check_line(std::string_view what, std::string_view text,
                                                    std::size_t bytes_max);

/// Reads what a call is asked with, one thing after the other. The first fault stays: what comes
/// behind it reads nothing. A value stays as it is when its parameter is not given.
///
///   CallReader read{request};
///   read.path(path_text, path).parameters(query).only("owner token").owner(owner).token(token);
///   if (read.refused(response)) return;
class CallReader {
 public:
  explicit CallReader(const Request& request) : request_(request) {}

  /// `url_path` as it stands in a URL.
  CallReader& path(std::string_view url_path, core::Path& path);
  /// Those of the query or of the body, which all that follow look into. Once, as the next one.
  CallReader& parameters(std::string_view query);
  CallReader& parameters(const boost::json::object& object);
  /// No others are given, and none twice. `known` is a space-separated list.
  CallReader& only(std::string_view known);

  CallReader& owner(std::optional<std::string>& owner);
  /// A path, packed.
  CallReader& prefix(std::optional<std::string>& packed);
  CallReader& meta(std::string& meta);
  CallReader& shape(core::Shape& shape);
  /// `max_ttl` zero: up to ttl_max.
  CallReader& ttl(core::Milliseconds max_ttl, std::optional<core::Milliseconds>& ttl);
  /// From the parameter, else from the header Lock-Token.
  CallReader& token(std::optional<core::Token>& token);
  /// One has to be given.
  CallReader& needed_token(core::Token& token);

  CallReader& flag(std::string_view name, bool& value);
  /// From `least` to `most`.
  CallReader& number(std::string_view name, std::uint64_t least, std::uint64_t most,
                     std::optional<std::uint64_t>& value);
  /// The same of a duration.
  CallReader& duration(std::string_view name, std::chrono::microseconds least,
                       std::chrono::microseconds most, std::chrono::microseconds& value);
  /// Any other: `read` gets its text, if it is given, and returns the fault.
  template <typename Read>
  CallReader& value(std::string_view name, const Read& read) {
    if (fault_) return *this;
    if (const std::string_view* const text = parameters_.find(name)) fault_ = read(*text);
    return *this;
  }
  [[nodiscard]] bool has(std::string_view name) const { return parameters_.find(name) != nullptr; }
  /// Empty if it is not given. Lives as long as this does.
  [[nodiscard]] std::string_view text(std::string_view name) const {
    const std::string_view* const text = parameters_.find(name);
    return text != nullptr ? *text : std::string_view{};
  }

  /// `is_fit`, or else this is the fault.
  CallReader& require(bool is_fit, const char* fault);
  /// `check` returns the fault.
  template <typename Check>
  CallReader& check(const Check& check) {
    if (!fault_) fault_ = check();
    return *this;
  }

  [[nodiscard]] const std::optional<core::Fault>& fault() const { return fault_; }
  /// Answers the fault, if there is one: 400.
  [[nodiscard]] bool refused(Response& response) const;

 private:
  const Request& request_;
  Parameters parameters_;
  std::optional<core::Fault> fault_;
};

}  // namespace locker::server
