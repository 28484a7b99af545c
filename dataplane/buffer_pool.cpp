#include "dataplane/buffer_pool.hpp"

#include <bit>
#include <cstring>
#include <new>

#include "base/check.hpp"

namespace balancer::dataplane {
namespace {

std::size_t class_of(std::size_t capacity) {
    return static_cast<std::size_t>(std::countr_zero(capacity));
}

}  // namespace

Buffer::~Buffer() {
    if (block_ != nullptr) pool_->give_back(block_, capacity_);
}

void Buffer::resize(std::size_t size) {
    BALANCER_CHECK(size <= capacity_);
    size_ = size;
}

void Buffer::grow(std::size_t capacity_min) {
    if (capacity_min <= capacity_) return;
    BALANCER_CHECK(pool_ != nullptr);
    Buffer larger = pool_->take(capacity_min);
    std::memcpy(larger.block_, block_, size_);
    larger.size_ = size_;
    swap(larger);
}

BufferPool::~BufferPool() {
    BALANCER_CHECK(bytes_out_ == 0);
    for (auto& blocks : free_) {
        for (char* block : blocks) ::operator delete(block);
    }
}

Buffer BufferPool::take(std::size_t capacity_min) {
    std::size_t capacity = std::bit_ceil(capacity_min < kSmallest ? kSmallest : capacity_min);
    std::vector<char*>& blocks = free_[class_of(capacity)];
    Buffer buffer;
    if (blocks.empty()) {
        buffer.block_ = static_cast<char*>(::operator new(capacity));
    } else {
        buffer.block_ = blocks.back();
        blocks.pop_back();
        kept_bytes_ -= capacity;
    }
    buffer.pool_ = this;
    buffer.capacity_ = capacity;
    bytes_out_ += capacity;
    return buffer;
}

void BufferPool::give_back(char* block, std::size_t capacity) {
    bytes_out_ -= capacity;
    if (kept_bytes_ + capacity > kKeptBytesMax) {
        ::operator delete(block);
        return;
    }
    kept_bytes_ += capacity;
    free_[class_of(capacity)].push_back(block);
}

}  // namespace balancer::dataplane
