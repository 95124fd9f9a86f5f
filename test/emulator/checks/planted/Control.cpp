// Calls and branches to where there is nothing, and programs that end badly or not at all.
#include "test/emulator/checks/planted/PlantedBug.h"

namespace ingot::emulator::test {

namespace {

/// down(n) calls itself until n is 0; 8 KB of stack a call.
const std::string recursion = R"(
.func down(.param .b32 n) {
  .reg .b32 r<4>; .reg .pred p<2>;
  .local .align 8 .b8 stack[8192];
  ld.param.u32 r1, [n];
  setp.eq.u32 p1, r1, 0;
  @p1 ret;
  sub.u32 r2, r1, 1;
  {
    .param .b32 argument;
    st.param.b32 [argument], r2;
    call down, (argument);
  }
  ret;
}
)";

const std::string callDown = R"(
  {
    .param .b32 argument;
    st.param.b32 [argument], PLANT;
    call down, (argument);
  }
)";

/// nothing() and what a call through d6 says it takes.
const std::string functions = R"(
.func nothing() { ret; }
.func one(.param .b32 a) { ret; }
)";
const std::string callThroughRegister = R"(
  {
    .param .b32 argument;
    st.param.b32 [argument], r1;
    prototype: .callprototype _ (.param .b32 _);
    PLANT
    call d6, (argument), prototype;
  }
)";

const std::string assertion = R"(
.extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);
.global .align 1 .b8 text[6] = {110, 32, 62, 32, 48, 0};
)";

} // namespace

std::span<const PlantedBug> plantedControl() {
  static const std::vector<PlantedBug> bugs = {
      {.check = "branch-index",
       .name = "behindTheTable",
       .body = R"(
  mov.u32 r2, PLANT;
  targets: .branchtargets A, B;
  brx.idx r2, targets;
A:
  st.global.u32 [d5], r1;
B:
)",
       .bug = "2",
       .clean = "1",
       .part = "index 2 into a table of 2 labels"},
      {.check = "call-address",
       .name = "noFunction",
       .body = callThroughRegister,
       .bug = "mov.u64 d6, 16;",
       .clean = "mov.u64 d6, one;",
       .module = functions,
       .part = "there is no function at 0x10"},
      {.check = "call-signature",
       .name = "tooManyArguments",
       .body = callThroughRegister,
       .bug = "mov.u64 d6, nothing;",
       .clean = "mov.u64 d6, one;",
       .module = functions,
       .part = "'nothing' takes 0 arguments, the call passes 1"},
      {.check = "stack-overflow",
       .name = "recursion",
       .body = callDown,
       .bug = "70",
       .clean = "50",
       .module = recursion,
       .part = "524288 are allowed"},
      {.check = "assert",
       .name = "fails",
       .body = R"(
  setp.PLANT.u32 p1, r1, 32;
  @!p1 bra DONE;
  {
    .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 e; .param .b64 g;
    mov.u64 d6, text; cvta.global.u64 d6, d6;
    st.param.b64 [a], d6; st.param.b64 [b], d6; st.param.b32 [c], 7;
    st.param.b64 [e], d6; st.param.b64 [g], 1;
    call __assertfail, (a, b, c, e, g);
  }
DONE:
)",
       .bug = "lt",
       .clean = "gt",
       .module = assertion,
       .part = "assertion 'n > 0' failed"},
      {.check = "trap",
       .name = "executed",
       .body = "  setp.PLANT.u32 p1, r1, 32;\n  @p1 trap;\n",
       .bug = "lt",
       .clean = "gt",
       .part = "trap"},
      {.check = "no-end",
       .name = "loop",
       .body = R"(
  mov.u32 r2, 0;
LOOP:
  add.u32 r2, r2, PLANT;
  setp.lt.u32 p1, r2, 10;
  @p1 bra LOOP;
)",
       .bug = "0",
       .clean = "1",
       .part = "has not ended after 100000 instructions",
       .limit = 100'000},
  };
  return bugs;
}

} // namespace ingot::emulator::test
