#pragma once

#include <vector>

#include "core/arbiter_answers.hpp"
#include "server/access/caller.hpp"

namespace locker::server {

/// Replaces an owner that the caller may not read, and is the only segment of the path that
/// replaces one.
inline constexpr std::string_view hidden = "(hidden)";

/// Whether the caller may see what is held at `path`. `caller` may be null.
[[nodiscard]] bool may_read(const Caller* caller, core::PathView path);

/// Hides path, owner and meta of the entries that the caller may not read. That there is a blocker,
/// its mode and its times stay visible, because a client needs them to decide whether to wait.
void hide_unreadable(const Caller* caller, std::vector<core::LockInfo>& infos);
void hide_unreadable(const Caller* caller, std::vector<core::CycleStep>& cycle);

}  // namespace locker::server
