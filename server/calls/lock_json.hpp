#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/arbiter_answers.hpp"
#include "core/arbiter_commands.hpp"

namespace locker::server {

// Writes the results of the core as the JSON of /v1, which API.md describes. All functions append
// to `out`.

/// Appends the duration in milliseconds, or null if there is none.
void append_milliseconds(std::optional<core::Duration> duration, std::string& out);
/// Appends the number, or null for zero, which stands for no TTL or no fence.
void append_number_or_null(std::uint64_t number, std::string& out);
/// Appends `"ttl_ms": …, "expires_in_ms": …` of a lease that has just been renewed.
void append_ttl(core::Milliseconds ttl, std::string& out);
void append_shape(const core::Shape& shape, std::string& out);

/// Appends a lock as it appears in a list, in the state of a path, and in a lease.
void append_lock(const core::LockInfo& info, const core::Now& now, std::string& out);
/// Appends a waiting request. `place` is its place in the queue, from 1; 0 leaves it out.
void append_waiter(const core::LockInfo& info, const core::Now& now, std::size_t place,
                   std::string& out);
/// Appends the blockers of a refused request: [{…}, …].
void append_blockers(const std::vector<core::LockInfo>& blockers, const core::Now& now,
                     std::string& out);

/// Returns how long the lock has been held or the request has been waiting.
[[nodiscard]] core::Duration age_of(const core::LockInfo& info, const core::Now& now);
[[nodiscard]] std::string_view name_of(core::LockInfo::State state);
[[nodiscard]] std::string_view name_of(core::Mode mode);

/// Returns the same as a table for people, with aligned columns.
[[nodiscard]] std::string text_table(const std::vector<core::LockInfo>& infos,
                                     const core::Now& now);

}  // namespace locker::server
