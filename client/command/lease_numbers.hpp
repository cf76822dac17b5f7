#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "core/record.hpp"

namespace locker::client {

/// Numbers the leases of a store in the order in which they begin, as names that are not secret.
/// Remembers only living leases.
class LeaseNumbers {
 public:
  /// The number, from 1, of the lease that the record is about; 0 if no lease has this lock any
  /// more. Call it with the records in journal order.
  [[nodiscard]] std::uint64_t number_of(const core::Record& record);

 private:
  struct Lease {
    std::uint64_t number = 0;
    std::size_t locks = 0;
    core::LockId opened;
    bool is_changing = false;  // the next record replaces one of its locks
  };

  std::map<core::Token, Lease> living_;
  std::uint64_t last_number_ = 0;
};

}  // namespace locker::client
