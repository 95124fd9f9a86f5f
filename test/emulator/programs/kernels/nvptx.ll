; What LLVM's NVPTX back end makes of generic IR: the road of every kernel that Ingot generates.
target triple = "nvptx64-nvidia-cuda"
target datalayout = "e-p6:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64"

declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)
declare float @llvm.nvvm.shfl.sync.down.f32(i32, float, i32, i32)
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare i32 @llvm.nvvm.redux.sync.add(i32, i32)
declare i32 @llvm.nvvm.vote.ballot.sync(i32, i1)

@tile = internal addrspace(3) global [128 x float] undef, align 16
@table = internal addrspace(4) constant [4 x i32] [i32 10, i32 -20, i32 30, i32 -40]
@total = addrspace(1) global i64 5

define internal i32 @index() alwaysinline {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %b = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %n = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %m = mul i32 %b, %n
  %i = add i32 %m, %t
  ret i32 %i
}

; Vectors of four floats: out = fma(a, b, a) and its maximum with b.
define ptx_kernel void @vectors(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %out) {
  %i = call i32 @index()
  %pa = getelementptr <4 x float>, ptr addrspace(1) %a, i32 %i
  %pb = getelementptr <4 x float>, ptr addrspace(1) %b, i32 %i
  %x = load <4 x float>, ptr addrspace(1) %pa, align 16
  %y = load <4 x float>, ptr addrspace(1) %pb, align 16
  %f = call <4 x float> @llvm.fma.v4f32(<4 x float> %x, <4 x float> %y, <4 x float> %x)
  %m = call <4 x float> @llvm.maxnum.v4f32(<4 x float> %f, <4 x float> %y)
  %s = shufflevector <4 x float> %m, <4 x float> %x, <4 x i32> <i32 3, i32 4, i32 1, i32 6>
  %po = getelementptr <4 x float>, ptr addrspace(1) %out, i32 %i
  store <4 x float> %s, ptr addrspace(1) %po, align 16
  ret void
}

; Packed halves and bfloats: a·b + a, narrowed sums, comparisons.
define ptx_kernel void @packed(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %out) {
  %i = call i32 @index()
  %pa = getelementptr <2 x half>, ptr addrspace(1) %a, i32 %i
  %pb = getelementptr <2 x half>, ptr addrspace(1) %b, i32 %i
  %x = load <2 x half>, ptr addrspace(1) %pa
  %y = load <2 x half>, ptr addrspace(1) %pb
  %f = call <2 x half> @llvm.fma.v2f16(<2 x half> %x, <2 x half> %y, <2 x half> %x)
  %wx = fpext <2 x half> %x to <2 x float>
  %wy = fpext <2 x half> %y to <2 x float>
  %ws = fadd <2 x float> %wx, %wy
  %bs = fptrunc <2 x float> %ws to <2 x bfloat>
  %c = fcmp ult <2 x half> %x, %y
  %z = select <2 x i1> %c, <2 x half> %f, <2 x half> %y
  %p0 = getelementptr <2 x half>, ptr addrspace(1) %out, i32 %i
  %j = add i32 %i, 256
  %p1 = getelementptr <2 x half>, ptr addrspace(1) %out, i32 %j
  store <2 x half> %z, ptr addrspace(1) %p0
  store <2 x bfloat> %bs, ptr addrspace(1) %p1
  ret void
}

; Saturation, rotation, wide products, swaps and counts of odd widths.
define ptx_kernel void @integers(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %out) {
  %i = call i32 @index()
  %pa = getelementptr i64, ptr addrspace(1) %a, i32 %i
  %pb = getelementptr i64, ptr addrspace(1) %b, i32 %i
  %x = load i64, ptr addrspace(1) %pa
  %y = load i64, ptr addrspace(1) %pb
  %base = mul i32 %i, 8
  %o = getelementptr i64, ptr addrspace(1) %out, i32 %base
  %x32 = trunc i64 %x to i32
  %y32 = trunc i64 %y to i32
  %sat = call i32 @llvm.sadd.sat.i32(i32 %x32, i32 %y32)
  %usat = call i32 @llvm.usub.sat.i32(i32 %x32, i32 %y32)
  %satx = sext i32 %sat to i64
  %usatx = zext i32 %usat to i64
  %r0 = xor i64 %satx, %usatx
  store i64 %r0, ptr addrspace(1) %o
  %rot = call i64 @llvm.fshl.i64(i64 %x, i64 %x, i64 %y)
  %o1 = getelementptr i64, ptr addrspace(1) %o, i32 1
  store i64 %rot, ptr addrspace(1) %o1
  %xw = zext i64 %x to i128
  %yw = zext i64 %y to i128
  %pw = mul i128 %xw, %yw
  %hw = lshr i128 %pw, 64
  %h = trunc i128 %hw to i64
  %o2 = getelementptr i64, ptr addrspace(1) %o, i32 2
  store i64 %h, ptr addrspace(1) %o2
  %swap = call i64 @llvm.bswap.i64(i64 %x)
  %o3 = getelementptr i64, ptr addrspace(1) %o, i32 3
  store i64 %swap, ptr addrspace(1) %o3
  %x16 = trunc i64 %x to i16
  %lz = call i16 @llvm.ctlz.i16(i16 %x16, i1 false)
  %tz = call i16 @llvm.cttz.i16(i16 %x16, i1 false)
  %lz64 = zext i16 %lz to i64
  %tz64 = zext i16 %tz to i64
  %tzs = shl i64 %tz64, 8
  %counts = or i64 %lz64, %tzs
  %o4 = getelementptr i64, ptr addrspace(1) %o, i32 4
  store i64 %counts, ptr addrspace(1) %o4
  %x5 = trunc i64 %x to i5
  %y5 = trunc i64 %y to i5
  %m5 = mul i5 %x5, %y5
  %s5 = sext i5 %m5 to i64
  %o5 = getelementptr i64, ptr addrspace(1) %o, i32 5
  store i64 %s5, ptr addrspace(1) %o5
  %overflow = call { i32, i1 } @llvm.smul.with.overflow.i32(i32 %x32, i32 %y32)
  %flag = extractvalue { i32, i1 } %overflow, 1
  %product = extractvalue { i32, i1 } %overflow, 0
  %chosen = select i1 %flag, i32 -1, i32 %product
  %chosen64 = zext i32 %chosen to i64
  %o6 = getelementptr i64, ptr addrspace(1) %o, i32 6
  store i64 %chosen64, ptr addrspace(1) %o6
  %ashr = ashr i128 %pw, 37
  %low = trunc i128 %ashr to i64
  %o7 = getelementptr i64, ptr addrspace(1) %o, i32 7
  store i64 %low, ptr addrspace(1) %o7
  ret void
}

; Saturating conversions, roundings, minimum and maximum that keep NaN.
define ptx_kernel void @floats(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %out) {
  %i = call i32 @index()
  %pa = getelementptr float, ptr addrspace(1) %a, i32 %i
  %pb = getelementptr float, ptr addrspace(1) %b, i32 %i
  %x = load float, ptr addrspace(1) %pa
  %y = load float, ptr addrspace(1) %pb
  %base = mul i32 %i, 8
  %o = getelementptr i32, ptr addrspace(1) %out, i32 %base
  %s = call i32 @llvm.fptosi.sat.i32.f32(float %x)
  store i32 %s, ptr addrspace(1) %o
  %u = call i8 @llvm.fptoui.sat.i8.f32(float %x)
  %uw = zext i8 %u to i32
  %o1 = getelementptr i32, ptr addrspace(1) %o, i32 1
  store i32 %uw, ptr addrspace(1) %o1
  %mn = call float @llvm.minimum.f32(float %x, float %y)
  %o2 = getelementptr i32, ptr addrspace(1) %o, i32 2
  store float %mn, ptr addrspace(1) %o2
  %q = fdiv float %x, %y
  %o3 = getelementptr i32, ptr addrspace(1) %o, i32 3
  store float %q, ptr addrspace(1) %o3
  %ax = call float @llvm.fabs.f32(float %x)
  %r = call float @llvm.sqrt.f32(float %ax)
  %o4 = getelementptr i32, ptr addrspace(1) %o, i32 4
  store float %r, ptr addrspace(1) %o4
  %e = call float @llvm.roundeven.f32(float %y)
  %o5 = getelementptr i32, ptr addrspace(1) %o, i32 5
  store float %e, ptr addrspace(1) %o5
  %cs = call float @llvm.copysign.f32(float %x, float %y)
  %o6 = getelementptr i32, ptr addrspace(1) %o, i32 6
  store float %cs, ptr addrspace(1) %o6
  %class = call i1 @llvm.is.fpclass.f32(float %x, i32 240) ; subnormal or zero
  %classw = zext i1 %class to i32
  %o7 = getelementptr i32, ptr addrspace(1) %o, i32 7
  store i32 %classw, ptr addrspace(1) %o7
  ret void
}

; A block's sum: shuffles, shared memory, a barrier, atomics of several types.
define ptx_kernel void @atomics(ptr addrspace(1) %in, ptr addrspace(1) %sums) {
  %i = call i32 @index()
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %p = getelementptr i32, ptr addrspace(1) %in, i32 %i
  %v = load i32, ptr addrspace(1) %p
  %1 = call i32 @llvm.nvvm.redux.sync.add(i32 %v, i32 -1)
  %f = sitofp i32 %v to float
  %d16 = call float @llvm.nvvm.shfl.sync.down.f32(i32 -1, float %f, i32 16, i32 31)
  %f16 = fadd float %f, %d16
  %slot = getelementptr [128 x float], ptr addrspace(3) @tile, i32 0, i32 %t
  store float %f16, ptr addrspace(3) %slot
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %other = sub i32 127, %t
  %slot2 = getelementptr [128 x float], ptr addrspace(3) @tile, i32 0, i32 %other
  %g = load float, ptr addrspace(3) %slot2
  %lane = and i32 %t, 31
  %low = icmp ult i32 %lane, 16
  br i1 %low, label %adders, label %done
adders:
  ; lanes 16 and up added their own value twice: only the lower half counts
  %old = atomicrmw fadd ptr addrspace(1) %sums, float %f16 syncscope("device") monotonic
  br label %done
done:
  %first = icmp eq i32 %lane, 0
  br i1 %first, label %warps, label %end
warps:
  %s1 = getelementptr i32, ptr addrspace(1) %sums, i32 1
  %2 = atomicrmw add ptr addrspace(1) %s1, i32 %1 seq_cst
  %s2 = getelementptr i32, ptr addrspace(1) %sums, i32 2
  %3 = atomicrmw umax ptr addrspace(1) %s2, i32 %1 acq_rel
  %s3 = getelementptr i32, ptr addrspace(1) %sums, i32 3
  %4 = atomicrmw nand ptr addrspace(1) %s3, i32 0 monotonic
  %s4 = getelementptr i32, ptr addrspace(1) %sums, i32 4
  %5 = atomicrmw uinc_wrap ptr addrspace(1) %s4, i32 2 monotonic
  %w = sext i32 %1 to i64
  %6 = atomicrmw add ptr addrspace(1) @total, i64 %w monotonic
  fence acq_rel
  br label %end
end:
  %q = getelementptr float, ptr addrspace(1) %sums, i32 8
  %r = getelementptr float, ptr addrspace(1) %q, i32 %i
  store float %g, ptr addrspace(1) %r
  ret void
}

define internal i32 @twice(i32 %x) noinline {
  %y = shl i32 %x, 1
  ret i32 %y
}
define internal i32 @square(i32 %x) noinline {
  %y = mul i32 %x, %x
  ret i32 %y
}

; Switches, local memory with a variable index, calls through pointers, constant tables.
define ptx_kernel void @control(ptr addrspace(1) %in, ptr addrspace(1) %out) {
entry:
  %i = call i32 @index()
  %p = getelementptr i32, ptr addrspace(1) %in, i32 %i
  %v = load i32, ptr addrspace(1) %p
  %array = alloca [8 x i32]
  call void @llvm.memset.p0.i64(ptr %array, i8 1, i64 32, i1 false)
  %k = and i32 %v, 7
  switch i32 %k, label %other [
    i32 0, label %zero
    i32 1, label %one
    i32 2, label %one
    i32 3, label %three
    i32 5, label %five
  ]
zero:
  br label %join
one:
  %a = add i32 %v, 100
  br label %join
three:
  %b = ashr i32 %v, 3
  br label %loop
loop:
  %n = phi i32 [ %b, %three ], [ %n3, %loop ]
  %c = phi i32 [ 0, %three ], [ %c1, %loop ]
  %n2 = lshr i32 %n, 2
  %n3 = xor i32 %n2, 1
  %c1 = add i32 %c, 1
  %small = icmp ult i32 %n3, 2
  br i1 %small, label %join, label %loop
five:
  %t5 = and i32 %i, 3
  %tp = getelementptr [4 x i32], ptr addrspace(4) @table, i32 0, i32 %t5
  %tv = load i32, ptr addrspace(4) %tp
  br label %join
other:
  %odd = trunc i32 %i to i1
  %f = select i1 %odd, ptr @twice, ptr @square
  %r = call i32 %f(i32 %v)
  br label %join
join:
  %x = phi i32 [ -5, %zero ], [ %a, %one ], [ %c1, %loop ], [ %tv, %five ], [ %r, %other ]
  %slot = getelementptr [8 x i32], ptr %array, i32 0, i32 %k
  store i32 %x, ptr %slot
  %j = and i32 %x, 7
  %slot2 = getelementptr [8 x i32], ptr %array, i32 0, i32 %j
  %y = load i32, ptr %slot2
  %z = xor i32 %x, %y
  %o = getelementptr i32, ptr addrspace(1) %out, i32 %i
  store i32 %z, ptr addrspace(1) %o
  ret void
}
