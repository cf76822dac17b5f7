#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/arbiter.hpp"

namespace locker::simulation {

/// What the clients were told, and what follows from it: checks that need nothing of the server's
/// inside. Times are the simulation's.
class ClientPromises {
 public:
  struct Hold {
    core::Token token;
    core::Wanted lock;
    core::Fence fence = 0;
    core::Instant until{};  ///< By the client's own clock.
  };

  /// Fences of later requests are above this.
  [[nodiscard]] core::Fence highest_fence() const { return highest_fence_; }

  /// A grant was read. `floor`: highest_fence() when the request was sent; zero for a repeated one.
  void on_granted(const core::Token& token, const std::vector<core::Wanted>& locks,
                  core::Fence fence, core::Fence floor, core::Instant until, core::Instant now);
  void on_renewed(const core::Token& token, core::Instant until);
  /// The client asks for another TTL: with a shorter one its lease may end earlier from now on.
  void on_renewal_sent(const core::Token& token, core::Instant until);
  /// The client asks to let go: from now on it may be gone.
  void on_release_sent(const core::Token& token, const std::string* packed_path);
  /// The server is about to force what is held here, perhaps before the holder reads of its grant.
  void on_force(const core::LockTable& table, const std::string& packed_path);
  /// The server says that it is gone, for good.
  void on_released(const core::Token& token, const std::string& packed_path);
  /// The server says that the lease is over.
  void on_lease_ended(const core::Token& token, core::Instant now);
  [[nodiscard]] bool has_forced() const { return !forced_.empty(); }
  [[nodiscard]] bool holds(const core::Token& token) const;

  /// Everything that a client counts on is held.
  void check_held(const core::LockTable& table, core::Instant now);
  /// Nothing that was released is held again.
  void check_released(const core::LockTable& table);

  /// The first broken promise; empty if none.
  [[nodiscard]] const std::string& broken() const { return broken_; }

 private:
  void fail(std::string what) {
    if (broken_.empty()) broken_ = std::move(what);
  }

  std::vector<Hold> holds_;
  std::map<core::Fence, core::Token> fences_;
  std::set<std::tuple<core::Token, std::string, core::Fence>> released_;
  std::map<std::pair<core::Token, std::string>, core::Fence> known_fences_;
  std::set<std::pair<core::Fence, std::string>> forced_;
  core::Fence highest_fence_ = 0;
  std::string broken_;
};

}  // namespace locker::simulation
