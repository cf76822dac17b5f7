#include "server/access/key_ring.hpp"

#include <cstring>
#include <utility>

#include "server/access/key_file.hpp"

namespace locker::server {
namespace {

constexpr std::size_t secret_bytes_max = 256;

// The time that this lookup takes reveals something about a digest but nothing about a key: a key
// whose digest has a given beginning can be found only by trial.
std::uint64_t beginning_of(const core::Sha256& digest) {
  std::uint64_t beginning = 0;
  std::memcpy(&beginning, digest.data(), sizeof beginning);
  return beginning;
}

}  // namespace

std::optional<core::Fault> KeyRing::load(const std::string& file) {
  auto read = read_key_file(file);
  if (!read) return read.error();
  auto keys = std::make_shared<Keys>();
  for (AccessKey& key : *read) {
    const std::uint64_t beginning = beginning_of(key.digest);
    key.number = ++last_number_;
    keys->emplace(beginning, std::move(key));
  }
  const std::lock_guard lock{mutex_};
  keys_ = std::move(keys);
  return std::nullopt;
}

std::shared_ptr<const KeyRing::Keys> KeyRing::keys() const {
  const std::lock_guard lock{mutex_};
  return keys_;
}

KeyRing::Pointer KeyRing::find(std::string_view secret) const {
  if (secret.size() > secret_bytes_max) return nullptr;
  return find(core::sha256(secret));
}

KeyRing::Pointer KeyRing::find_again(const AccessKey& key) const { return find(key.digest); }

KeyRing::Pointer KeyRing::find(const core::Sha256& digest) const {
  const auto keys = this->keys();
  const auto [begin, end] = keys->equal_range(beginning_of(digest));
  for (auto at = begin; at != end; ++at) {
    if (core::is_equal_in_constant_time(at->second.digest, digest)) return {keys, &at->second};
  }
  return nullptr;
}

std::size_t KeyRing::size() const { return keys()->size(); }

}  // namespace locker::server
