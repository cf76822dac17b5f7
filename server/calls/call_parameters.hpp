#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/lock.hpp"
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

// Reads what several calls of /v1 take. A value stays as it is when its parameter is not given.

[[nodiscard]] std::optional<core::Fault> read_owner(const Parameters& parameters,
                                                    std::optional<std::string>& owner);
/// A path, packed.
[[nodiscard]] std::optional<core::Fault> read_prefix(const Parameters& parameters,
                                                     std::optional<std::string>& packed);
/// From `least` to `most`.
[[nodiscard]] std::optional<core::Fault> read_number(const Parameters& parameters,
                                                     std::string_view name, std::uint64_t least,
                                                     std::uint64_t most,
                                                     std::optional<std::uint64_t>& value);
[[nodiscard]] std::optional<core::Fault> read_meta(const Parameters& parameters, std::string& meta);
[[nodiscard]] std::optional<core::Fault> read_shape(const Parameters& parameters,
                                                    core::Shape& shape);
/// A duration from `least` to `most`.
[[nodiscard]] std::optional<core::Fault> read_duration(
    const Parameters& parameters, std::string_view name, std::chrono::microseconds least,
    std::chrono::microseconds most, std::optional<std::chrono::microseconds>& value);
/// `max_ttl` zero: up to ttl_max.
[[nodiscard]] std::optional<core::Fault> read_ttl(const Parameters& parameters,
                                                  core::Milliseconds max_ttl,
                                                  std::optional<core::Milliseconds>& ttl);
/// From the parameter, else from the header Lock-Token.
[[nodiscard]] std::optional<core::Fault> read_token(const Parameters& parameters,
                                                    const Request& request,
                                                    std::optional<core::Token>& token);

}  // namespace locker::server
