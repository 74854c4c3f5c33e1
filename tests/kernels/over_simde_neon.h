/* over_simde_neon.h - ARM's vector instructions that vectors/vector_neon.h uses, in portable C: SIMDe (libsimde-dev) and
 * what its release in Debian 12 lacks. See over_simde.h. */
#ifndef EFFNET_OVER_SIMDE_NEON_H
#define EFFNET_OVER_SIMDE_NEON_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <simde/arm/neon/add.h>
#include <simde/arm/neon/addv.h>
#include <simde/arm/neon/and.h>
#include <simde/arm/neon/bsl.h>
#include <simde/arm/neon/ceq.h>
#include <simde/arm/neon/cgt.h>
#include <simde/arm/neon/clt.h>
#include <simde/arm/neon/combine.h>
#include <simde/arm/neon/cvt.h>
#include <simde/arm/neon/dup_n.h>
#include <simde/arm/neon/fma.h>
#include <simde/arm/neon/get_high.h>
#include <simde/arm/neon/get_lane.h>
#include <simde/arm/neon/get_low.h>
#include <simde/arm/neon/ld1.h>
#include <simde/arm/neon/max.h>
#include <simde/arm/neon/maxv.h>
#include <simde/arm/neon/min.h>
#include <simde/arm/neon/minv.h>
#include <simde/arm/neon/movl.h>
#include <simde/arm/neon/movn.h>
#include <simde/arm/neon/mull.h>
#include <simde/arm/neon/neg.h>
#include <simde/arm/neon/orr.h>
#include <simde/arm/neon/padd.h>
#include <simde/arm/neon/qmovn.h>
#include <simde/arm/neon/qmovun.h>
#include <simde/arm/neon/reinterpret.h>
#include <simde/arm/neon/rndn.h>
#include <simde/arm/neon/shl_n.h>
#include <simde/arm/neon/shr_n.h>
#include <simde/arm/neon/st1.h>
#pragma GCC diagnostic pop

#define vdivq_f32(a, b)   ((a) / (b))
#define vcvtnq_s32_f32(v) vcvtq_s32_f32(vrndnq_f32(v))

#endif
