#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace locker::core {

inline constexpr std::size_t segment_bytes_max = 255;
inline constexpr std::size_t segments_max = 64;
/// Includes one slash per segment: "/foo/bar" has 8 bytes.
inline constexpr std::size_t path_bytes_max = 2048;

/// A view of a resource's path: a list of segments in packed form.
///
/// Packed form: for each segment one length byte (1 to 255), then that many bytes. The root is the
/// empty string. The journal, the snapshots and the trie all use this form, so that no path is
/// ever split or escaped twice. The bytes must outlive the view.
class PathView {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;
    Iterator() = default;
    explicit Iterator(const char* at) : at_(at) {}
    std::string_view operator*() const { return {at_ + 1, static_cast<std::uint8_t>(*at_)}; }
    Iterator& operator++() {
      at_ += 1 + static_cast<std::uint8_t>(*at_);
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const char* at_ = nullptr;
  };

  constexpr PathView() = default;
  /// REQUIRES: is_packed_path(packed).
  explicit constexpr PathView(std::string_view packed) : packed_(packed) {}

  [[nodiscard]] std::string_view packed() const { return packed_; }
  [[nodiscard]] bool is_root() const { return packed_.empty(); }
  [[nodiscard]] std::size_t depth() const;
  [[nodiscard]] Iterator begin() const { return Iterator{packed_.data()}; }
  [[nodiscard]] Iterator end() const { return Iterator{packed_.data() + packed_.size()}; }
  /// Whether this is a proper ancestor of `other`; the root is one of every other path.
  [[nodiscard]] bool is_ancestor_of(PathView other) const {
    return packed_.size() < other.packed_.size() && other.packed_.starts_with(packed_);
  }
  friend bool operator==(PathView, PathView) = default;

 private:
  std::string_view packed_;
};

/// Whether the bytes are a packed path within all limits and rules for segments. Readers of files
/// check this before they trust the bytes.
[[nodiscard]] bool is_packed_path(std::string_view bytes);

/// A path that owns its bytes in place: 2 KiB, so build it once and pass it as a PathView.
class Path {
 public:
  Path() = default;
  explicit Path(PathView view);
  enum class Push { ok, segment_too_long, too_many_segments, path_too_long };
  /// Appends a segment. REQUIRES: not empty. Unless it returns `ok`, the path is unchanged.
  [[nodiscard]] Push push_back(std::string_view segment);
  void clear() { size_ = depth_ = 0; }
  [[nodiscard]] std::size_t depth() const { return depth_; }
  [[nodiscard]] PathView view() const { return PathView{{bytes_.data(), size_}}; }
  operator PathView() const { return view(); }  // NOLINT: a Path is used wherever a view is

 private:
  std::uint16_t size_ = 0;
  std::uint16_t depth_ = 0;
  std::array<char, path_bytes_max> bytes_;
};

}  // namespace locker::core
