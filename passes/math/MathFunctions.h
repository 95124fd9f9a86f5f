/// Our own elementary functions: formulas of adds, multiplies and a few divisions.
///
/// One set for f32 and f64, for scalars and vectors, for every device. Largest errors are stated in
/// README.md (section expand-math) and tested.
#pragma once
#include "passes/math/Formula.h"

namespace ingot {

Term expOf(Term x);
Term exp2Of(Term x);
Term expm1Of(Term x);
Term logOf(Term x);
Term log1pOf(Term x);
Term log2Of(Term x);
Term log10Of(Term x);
Term tanhOf(Term x);
Term erfOf(Term x);
Term sinOf(Term x);
Term cosOf(Term x);
Term rsqrtOf(Term x);
Term atanOf(Term x);
Term powOf(Term x, Term y);
/// x - y·trunc(x/y), exact: C's fmod.
Term remainderOf(Term x, Term y);

} // namespace ingot
