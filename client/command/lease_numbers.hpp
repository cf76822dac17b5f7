#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "core/record.hpp"

namespace locker::client {

/// Numbers the leases of a store in the order in which they come to be: a name for each that is no
/// secret. Remembers those that live.
class LeaseNumbers {
 public:
  /// Of the lease that the record is about, from 1 on; zero: no lease has this lock any more. Takes
  /// the records in the order of the journal.
  [[nodiscard]] std::uint64_t number_of(const core::Record& record);

 private:
  struct Lease {
    std::uint64_t number = 0;
    std::size_t locks = 0;
    core::LockId opened;
    bool is_changing = false;  // one of its locks makes way for the next record's
  };

  std::map<core::Token, Lease> living_;
  std::uint64_t last_number_ = 0;
};

}  // namespace locker::client
