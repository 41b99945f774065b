// CUDA's keywords as C++, and code that runs CUDA functions on the host.
//
// Blocks run one after the other. The threads of a block take turns: each runs until it reaches a barrier or its end.
// So a thread that reads what another thread has not written yet gets wrong numbers, as it may on a GPU. Threads and
// blocks can also run in the opposite order. Results that depend on the order differ then.
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <type_traits>
#include <ucontext.h>
#include <utility>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

static struct { unsigned x, y, z; } blockIdx, threadIdx, blockDim = {1, 1, 1}, gridDim = {1, 1, 1};

template <class T> T atomicAdd(T* place, T value) {
    T before = *place;
    *place = before + value;
    return before;
}

// Treat subnormal numbers as 0, as -ftz=true does. The host does so for float and double.
static void flush_subnormals(bool on) {
#if defined(__x86_64__)
    const unsigned bits = 0x8040;  // flush results to zero, treat operands as zero
    _mm_setcsr(on ? _mm_getcsr() | bits : _mm_getcsr() & ~bits);
#elif defined(__aarch64__)
    const uint64_t bit = 1 << 24;
    uint64_t state;
    asm volatile("mrs %0, fpcr" : "=r"(state));
    asm volatile("msr fpcr, %0" : : "r"(on ? state | bit : state & ~bit));
#endif
}

// -- the threads of a block -------------------------------------------------------------------------------------------
// A thread keeps its stack from block to block. A context starts it. Jumps switch between threads, with no system call.
static const unsigned MOST = 1024;
static char stacks[MOST][1 << 15];
static ucontext_t starts[MOST], scheduler;
static jmp_buf paused[MOST], resumer;
static bool started[MOST], ended[MOST];
static void (*work)();

static void pause_thread() {
    if (!_setjmp(paused[threadIdx.x])) _longjmp(resumer, 1);
}
static void __syncthreads() { pause_thread(); }

static void thread_main() {
    for (;;) {
        work();
        ended[threadIdx.x] = true;
        pause_thread();
    }
}

// Run a thread until it reaches a barrier or its end.
static void resume(unsigned thread) {
    threadIdx.x = thread;
    if (_setjmp(resumer)) return;
    if (started[thread]) _longjmp(paused[thread], 1);
    started[thread] = true;
    getcontext(&starts[thread]);
    starts[thread].uc_stack = {.ss_sp = stacks[thread], .ss_flags = 0, .ss_size = sizeof(stacks[thread])};
    starts[thread].uc_link = &scheduler;
    makecontext(&starts[thread], thread_main, 0);
    setcontext(&starts[thread]);
}

// -- arguments --------------------------------------------------------------------------------------------------------
// An argument: the address and number of its bytes, its kind ('p' for an array, else NumPy's 'f', 'i', 'u', 'b', 'V'),
// and for an array the kind and size of its elements.
struct Argument {
    void* address;
    size_t size;
    char kind, element;
    size_t item;
};
static Argument* given;

template <class E> bool holds(const Argument& a) {
    if constexpr (std::is_void_v<E> || std::is_class_v<E>) return true;
    else return sizeof(E) == a.item && std::is_floating_point_v<E> == (a.element == 'f');
}
template <class P> bool fits(const Argument& a) {
    if (sizeof(P) != a.size) return false;
    if constexpr (std::is_pointer_v<P>) {
        if (a.kind != 'p') return a.kind == 'i' || a.kind == 'u';  // the address as a number
        return holds<std::remove_cv_t<std::remove_pointer_t<P>>>(a);
    }
    if (std::is_floating_point_v<P>) return a.kind == 'f';
    if (std::is_integral_v<P>) return a.kind == 'i' || a.kind == 'u' || a.kind == 'b';
    return a.kind == 'V' || a.kind == 'c';
}
template <class... P, size_t... i> int misfit(void (*)(P...), std::index_sequence<i...>, size_t count) {
    if (count != sizeof...(P)) return -1 - (int)sizeof...(P);
    int wrong = 0;
    ((wrong = !wrong && !fits<P>(given[i]) ? (int)i + 1 : wrong), ...);
    return wrong;
}
template <class... P, size_t... i> void call(void (*f)(P...), std::index_sequence<i...>) {
    f(*(P*)given[i].address...);
}
template <class... P> auto numbers(void (*)(P...)) { return std::index_sequence_for<P...>(); }
template <auto f> void body() { call(f, numbers(f)); }

// -- a launch ---------------------------------------------------------------------------------------------------------
// The status is 0, or i if argument i (the first is 1) does not fit its parameter, or -1 - n if the number of arguments
// is not n, or BARRIER if not all threads of a block reach a barrier.
static const int BARRIER = 1 << 20;

template <auto f, bool barriers>
int run(unsigned blocks, unsigned size, Argument* arguments, size_t count, bool backwards, bool flush) {
    given = arguments;
    if (int wrong = misfit(f, numbers(f), count)) return wrong;
    work = body<f>;
    gridDim.x = blocks;
    blockDim.x = size;
    int status = 0;
    flush_subnormals(flush);
    for (unsigned b = 0; b < blocks && !status; b++) {
        blockIdx.x = backwards ? blocks - 1 - b : b;
        for (unsigned t = 0; t < size; t++) ended[t] = false;
        for (unsigned left = size; left && !status;) {
            unsigned before = left;
            for (unsigned i = 0; i < size; i++) {
                unsigned t = backwards ? size - 1 - i : i;
                if constexpr (barriers) resume(t);
                else threadIdx.x = t, work(), ended[t] = true;
                left -= ended[t];
            }
            if (left && left != before) status = BARRIER;
        }
    }
    flush_subnormals(false);
    if (status)
        for (unsigned t = 0; t < MOST; t++) started[t] = false;  // some threads are paused in the middle of the function
    return status;
}
#define ENTRY(f, barriers)                                                                                        \
    extern "C" int run_##f(unsigned blocks, unsigned size, Argument* args, size_t n, bool backwards, bool flush) { \
        return run<f, barriers>(blocks, size, args, n, backwards, flush);                                          \
    }
