#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <boost/system/result.hpp>

#include "core/error.hpp"

namespace locker::server {

/// A file to which a thread of its own appends lines, so that callers never wait for the disk. If
/// the disk is too slow or fails, or the file was deleted and cannot be created again, lines are
/// lost and counted; the next line that gets to the file says how many. Thread-safe.
class AuditLog {
 public:
  static constexpr std::size_t queued_bytes_max = std::size_t{8} << 20U;

  /// Called with a sentence when lines begin to be lost, and when the file cannot be reopened. Runs
  /// on the log's thread.
  using Warn = std::function<void(std::string_view)>;

  [[nodiscard]] static boost::system::result<std::unique_ptr<AuditLog>, core::Fault> open(
      const std::string& file, Warn warn);
  /// Writes the queued lines.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  /// Queues a line. `members` are those of a JSON object after its time, such as `"action":
  /// "reload"`.
  void add(std::string_view members);
  /// Counts a line as lost because there was no memory to build it.
  void lose_line();
  /// Closes the file and opens the one that has its name then: after logrotate has renamed it.
  void reopen();
  /// Returns how many lines never got to the file.
  [[nodiscard]] std::uint64_t lost() const;

 private:
  AuditLog(std::string file, int descriptor, Warn warn);
  void run(const std::stop_token& stop);
  [[nodiscard]] bool is_deleted() const;
  [[nodiscard]] bool open_again();
  void warn_of_loss(std::string_view what);
  [[nodiscard]] std::uint64_t write(const std::string& lines, std::uint64_t count);

  const std::string file_;
  const Warn warn_;
  int descriptor_;           // the thread alone uses this and the next two
  bool is_torn_ = false;     // the last line of the file is incomplete
  bool is_failing_ = false;  // and a warning was given
  mutable std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::string queued_;
  std::uint64_t queued_count_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t told_lost_ = 0;
  bool wants_reopen_ = false;
  std::jthread thread_;
};

}  // namespace locker::server
