#include "server/access/audit_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

namespace locker::server {
namespace {

/// Returns -1 if the file cannot be opened. A new file is readable by its owner and group only,
/// because it says who works on what.
int open_file(const std::string& file) {
  return ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
}

void append_time(std::string& out) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const auto seconds = static_cast<std::time_t>(milliseconds / 1000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 64> text;
  const int size =
      std::snprintf(text.data(), text.size(), R"("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ")",
                    utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                    utc.tm_sec, static_cast<int>(milliseconds % 1000));
  out.append(text.data(), static_cast<std::size_t>(size));
}

void append_line(std::string_view members, std::string& out) {
  out += R"({"time": )";
  append_time(out);
  out += ", ";
  out += members;
  out += "}\n";
}

}  // namespace

boost::system::result<std::unique_ptr<AuditLog>, core::Fault> AuditLog::open(
    const std::string& file, Warn warn) {
  const int descriptor = open_file(file);
  if (descriptor < 0) {
    return core::Fault{"The audit log " + file + " cannot be opened: " + std::strerror(errno) +
                       "."};
  }
  return std::unique_ptr<AuditLog>(new AuditLog(file, descriptor, std::move(warn)));
}

AuditLog::AuditLog(std::string file, int descriptor, Warn warn)
    : file_(std::move(file)), warn_(std::move(warn)), descriptor_(descriptor) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

AuditLog::~AuditLog() {
  thread_.request_stop();
  thread_.join();
  if (descriptor_ >= 0) ::close(descriptor_);
}

void AuditLog::add(std::string_view members) {
  const std::lock_guard lock{mutex_};
  if (queued_.size() + members.size() > queued_bytes_max) {
    ++lost_;
    return;
  }
  append_line(members, queued_);
  ++queued_count_;
  arrived_.notify_one();
}

void AuditLog::lose_line() {
  const std::lock_guard lock{mutex_};
  ++lost_;
}

void AuditLog::reopen() {
  const std::lock_guard lock{mutex_};
  wants_reopen_ = true;
  arrived_.notify_one();
}

std::uint64_t AuditLog::lost() const {
  const std::lock_guard lock{mutex_};
  return lost_;
}

void AuditLog::run(const std::stop_token& stop) {
  std::unique_lock lock{mutex_};
  while (true) {
    arrived_.wait(lock, stop, [this] { return queued_count_ != 0 || wants_reopen_; });
    if (queued_count_ == 0 && !wants_reopen_) return;  // stop was requested
    std::string lines;
    const std::uint64_t lost = lost_;
    if (lost != told_lost_) {
      append_line(R"("action": "lost", "lines": )" + std::to_string(lost - told_lost_), lines);
    }
    lines += queued_;
    queued_.clear();
    const std::uint64_t count = std::exchange(queued_count_, 0);
    const bool reopens = std::exchange(wants_reopen_, false);
    lock.unlock();
    const std::uint64_t failed = count == 0 ? 0 : write(lines, count);
    // Last, so that lines queued before go to the old file.
    if (reopens && !open_again()) {
      const std::string why = std::strerror(errno);
      warn_("the audit log " + file_ + " cannot be opened again: " + why +
            (is_deleted() ? "; its lines are lost until this succeeds"
                          : "; it continues in the file that was open"));
    }
    lock.lock();
    if (count != 0 && failed == 0) told_lost_ = lost;
    lost_ += failed;
  }
}

/// Whether the file was deleted: what is written to it would be gone when it is closed.
bool AuditLog::is_deleted() const {
  struct stat status {};
  return ::fstat(descriptor_, &status) == 0 && status.st_nlink == 0;
}

/// Returns false and sets errno if the file cannot be opened; the old one then stays open.
bool AuditLog::open_again() {
  const int descriptor = open_file(file_);
  if (descriptor < 0) return false;
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = descriptor;
  return true;
}

/// Warns when writing begins to fail, once until it succeeds again. `what` failed with errno.
void AuditLog::warn_of_loss(std::string_view what) {
  if (std::exchange(is_failing_, true)) return;
  const std::string why = std::strerror(errno);
  warn_("the audit log " + file_ + " " + std::string{what} + ": " + why +
        "; its lines are lost until this succeeds");
}

/// Returns how many of the lines were not written.
std::uint64_t AuditLog::write(const std::string& lines, std::uint64_t count) {
  if (is_deleted() && !open_again()) {
    warn_of_loss("was deleted and cannot be recreated");
    return count;
  }
  const std::string text = is_torn_ ? "\n" + lines : lines;
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t size = ::write(descriptor_, text.data() + written, text.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      warn_of_loss("cannot be written");
      if (written != 0) is_torn_ = text[written - 1] != '\n';
      // Counted from the end, because the first line may be the report of lost ones.
      const auto rest =
          std::count(text.begin() + static_cast<std::ptrdiff_t>(written), text.end(), '\n');
      return std::min(count, static_cast<std::uint64_t>(rest));
    }
    written += static_cast<std::size_t>(size);
  }
  is_failing_ = is_torn_ = false;
  return 0;
}

}  // namespace locker::server
