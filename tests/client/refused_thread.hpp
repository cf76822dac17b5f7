#pragma once

namespace locker::test {

/// The n-th thread from now on that this process wants, counted from one, is not to be had.
void refuse_thread(int n);

}  // namespace locker::test
