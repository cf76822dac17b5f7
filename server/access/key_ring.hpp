#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/error.hpp"
#include "server/access/access_key.hpp"

namespace locker::server {

/// The keys that are currently valid. Thread-safe.
class KeyRing {
 public:
  using Pointer = std::shared_ptr<const AccessKey>;

  /// Replaces all keys by those in the file. If there is a fault, nothing changes.
  [[nodiscard]] std::optional<core::Fault> load(const std::string& file);
  /// Returns null if there is no such key.
  [[nodiscard]] Pointer find(std::string_view secret) const;
  /// Returns the key with its current rules, or null if it was revoked.
  [[nodiscard]] Pointer find_again(const AccessKey& key) const;
  [[nodiscard]] std::size_t size() const;

 private:
  using Keys = std::unordered_multimap<std::uint64_t, AccessKey>;  // by the digest's first bytes

  [[nodiscard]] std::shared_ptr<const Keys> keys() const;
  [[nodiscard]] Pointer find(const core::Sha256& digest) const;

  std::atomic<std::uint64_t> last_number_ = 0;
  mutable std::mutex mutex_;
  std::shared_ptr<const Keys> keys_ = std::make_shared<Keys>();
};

}  // namespace locker::server
