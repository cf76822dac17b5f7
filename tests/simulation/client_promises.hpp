#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/arbiter.hpp"

namespace locker::simulation {

/// The promises that the server's replies make to the clients, checked without knowledge of the
/// server's internals. Times are the simulation's.
class ClientPromises {
 public:
  struct Hold {
    core::Token token;
    core::Wanted lock;
    core::Fence fence = 0;
    core::Instant until{};  ///< By the client's own clock.
  };

  /// Fences of later requests are higher than this.
  [[nodiscard]] core::Fence highest_fence() const { return highest_fence_; }

  /// The client read a grant. `floor`: highest_fence() when the request was sent; zero for a
  /// repeated one.
  void on_granted(const core::Token& token, const std::vector<core::Wanted>& locks,
                  core::Fence fence, core::Fence floor, core::Instant until, core::Instant now);
  void on_renewed(const core::Token& token, core::Instant until);
  /// The client requests another TTL: with a shorter one its lease may end earlier from then on.
  void on_renewal_sent(const core::Token& token, core::Instant until);
  /// The client requests a release: from then on the lock may be gone.
  void on_release_sent(const core::Token& token, const std::string* packed_path);
  /// The server is about to force the locks held at a path, perhaps before the holder has read its
  /// grant.
  void on_force(const core::LockTable& table, const std::string& packed_path);
  /// The server confirms that the lock is released for good.
  void on_released(const core::Token& token, const std::string& packed_path);
  /// The server reports that the lease has ended.
  void on_lease_ended(const core::Token& token, core::Instant now);
  [[nodiscard]] bool has_forced() const { return !forced_.empty(); }
  [[nodiscard]] bool holds(const core::Token& token) const;

  /// Checks that everything a client relies on is held.
  void check_held(const core::LockTable& table, core::Instant now);
  /// Checks that nothing that was released is held again.
  void check_released(const core::LockTable& table);

  /// The first broken promise; empty if there is none.
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
