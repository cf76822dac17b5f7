#include "core/path.hpp"

#include <cstring>

#include "core/assert.hpp"
#include "core/utf8.hpp"

namespace locker::core {

std::size_t PathView::depth() const {
  return static_cast<std::size_t>(std::distance(begin(), end()));
}

bool is_packed_path(std::string_view bytes) {
  if (bytes.size() > path_bytes_max) return false;
  std::size_t depth = 0;
  while (!bytes.empty()) {
    const auto length = static_cast<std::uint8_t>(bytes.front());
    if (length == 0 || length >= bytes.size() || ++depth > segments_max) return false;
    const std::string_view segment = bytes.substr(1, length);
    if (segment == "." || segment == ".." || check_text(segment) != TextFault::none) return false;
    bytes.remove_prefix(1U + length);
  }
  return true;
}

Path::Path(PathView view)
    : size_(static_cast<std::uint16_t>(view.packed().size())),
      depth_(static_cast<std::uint16_t>(view.depth())) {
  LOCKER_ASSERT(view.packed().size() <= path_bytes_max);
  if (size_ != 0) std::memcpy(bytes_.data(), view.packed().data(), size_);
}

Path::Push Path::push_back(std::string_view segment) {
  LOCKER_ASSERT(!segment.empty());
  if (segment.size() > segment_bytes_max) return Push::segment_too_long;
  if (depth_ == segments_max) return Push::too_many_segments;
  if (size_ + 1 + segment.size() > path_bytes_max) return Push::path_too_long;
  bytes_[size_] = static_cast<char>(segment.size());
  std::memcpy(bytes_.data() + size_ + 1, segment.data(), segment.size());
  size_ = static_cast<std::uint16_t>(size_ + 1 + segment.size());
  ++depth_;
  return Push::ok;
}

}  // namespace locker::core
