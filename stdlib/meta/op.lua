---@meta hilum.op
-- Made from the engine's table of ops by scripts/reference; a test compares.

---@class hl.tensor

local op = {}

---Absolute value; derivative 0 at 0.
---`y = |x|`
---@param x hl.tensor|number
---@return hl.tensor
function op.abs(x) end

---@class (exact) hl.op.adam
---@field beta1? number share of the old mean kept in each step
---@field beta2? number share of the old mean of squares kept in each step
---@field eps? number added to the root
---@field decay? number weight decay
---@field decoupled? boolean 1: decay shrinks the parameter (AdamW); 0: it is added to the gradient (Adam)

---One step of Adam or AdamW: changes param, m and v. clock holds {rate, step, scale}: the first step is 1, scale (1 if left out) multiplies the gradient. With top, the largest v so far, it is AMSGrad.
---`m = beta1*m + (1-beta1)*g; v = beta2*v + (1-beta2)*g*g; param -= rate * m/(1-beta1^step) / (sqrt(v/(1-beta2^step)) + eps)`
---@param param hl.tensor|number
---@param grad hl.tensor|number
---@param m hl.tensor|number
---@param v hl.tensor|number
---@param clock hl.tensor|number
---@param top? hl.tensor|number
---@param attributes? hl.op.adam
---@return hl.tensor
function op.adam(param, grad, m, v, clock, top, attributes) end

---Sum. Shapes broadcast as in numpy; the result is an image if one side is.
---`y = a + b`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.add(a, b) end

---@class (exact) hl.op.add_at
---@field start integer[] where the part begins on each axis, counted from 0
---@field scale? number factor of the part

---Adds a part, times a factor, to a box of a tensor.
---`y = x, but y[start + (i, j, …)] = x[start + (i, j, …)] + scale*part[i, j, …]`
---@param x hl.tensor|number
---@param part hl.tensor|number
---@param attributes? hl.op.add_at
---@return hl.tensor
function op.add_at(x, part, attributes) end

---@class (exact) hl.op.affine
---@field scale? number factor; 0 gives the constant shift, whatever x holds
---@field shift? number what is added

---Multiplies by one number and adds another.
---`y = scale*x + shift`
---@param x hl.tensor|number
---@param attributes? hl.op.affine
---@return hl.tensor
function op.affine(x, attributes) end

---@class (exact) hl.op.avg_pool
---@field kernel integer|integer[] window (z, y, x)
---@field stride? integer|integer[] step (z, y, x)
---@field padding? integer|integer[] positions added on both sides (z, y, x), less than the kernel
---@field ceil_mode? boolean a last window that begins inside but does not fit counts too
---@field count_include_pad? boolean the padding counts as zeros; 0: it does not count

---Mean over a sliding window; the padding counts as zeros or not at all.
---`y[n,c,p] = sum(x[n,c,p*stride - padding + k]) / size(window)`
---@param x hl.tensor|number
---@param attributes? hl.op.avg_pool
---@return hl.tensor
function op.avg_pool(x, attributes) end

---@class (exact) hl.op.batch_norm
---@field eps? number added to the variance
---@field slope? number of the leaky ReLU for negative values; 1: no activation

---Normalises each channel over the batch, then leaky ReLU; gives the batch's mean and unbiased variance too.
---`y = leaky_relu(scale*(x - mean)/sqrt(var + eps) + offset), biased variance per c`
---@param x hl.tensor|number
---@param scale? hl.tensor|number
---@param offset? hl.tensor|number
---@param attributes? hl.op.batch_norm
---@return hl.tensor
function op.batch_norm(x, scale, offset, attributes) end

---@class (exact) hl.op.batch_norm_eval
---@field eps? number added to the variance
---@field slope? number of the leaky ReLU for negative values; 1: no activation

---Normalises each channel by given statistics, then leaky ReLU.
---`y = leaky_relu(scale*(x - mean)/sqrt(variance + eps) + offset)`
---@param x hl.tensor|number
---@param mean hl.tensor|number
---@param variance hl.tensor|number
---@param scale? hl.tensor|number
---@param offset? hl.tensor|number
---@param attributes? hl.op.batch_norm_eval
---@return hl.tensor
function op.batch_norm_eval(x, mean, variance, scale, offset, attributes) end

---@class (exact) hl.op.bce
---@field pos_weight? number factor of -log p

---Binary cross entropy of logits with a truth in [0, 1], element by element.
---`y = -pos_weight*truth*log p - (1-truth)*log(1-p), p = sigmoid(x)`
---@param x hl.tensor|number
---@param truth hl.tensor|number
---@param attributes? hl.op.bce
---@return hl.tensor
function op.bce(x, truth, attributes) end

---@class (exact) hl.op.broadcast
---@field shape integer[] shape of the result; none for one number without axes
---@field image? integer layout of the result: 1 image, 0 plain, -1 as x where the result has 5 axes

---Repeats along axes of size 1, and along new axes in front, to a given shape.
---`y[i, j, ...] = x[i or 0, j or 0, ...]`
---@param x hl.tensor|number
---@param attributes? hl.op.broadcast
---@return hl.tensor
function op.broadcast(x, attributes) end

---@class (exact) hl.op.cast
---@field to string f32|f64|bf16|i32|i16|u8|q10|q9|q8|q7: element type of the result

---Converts to another element type: to whole numbers by rounding to nearest, ties to even, limited to the type's range, NaN becoming 0. The gradient passes between the types with a fraction.
---`y = x`
---@param x hl.tensor|number
---@param attributes? hl.op.cast
---@return hl.tensor
function op.cast(x, attributes) end

---Orthogonal matrices from free ones, computed in f64.
---`Q = inverse(I + A) (I - A), A = W - transpose(W)`
---@param W hl.tensor|number
---@return hl.tensor
function op.cayley(W) end

---@class (exact) hl.op.clamp
---@field low number smallest value of the result
---@field high number largest value of the result

---Limits values to a range. NaN stays NaN.
---`y = min(max(x, low), high)`
---@param x hl.tensor|number
---@param attributes? hl.op.clamp
---@return hl.tensor
function op.clamp(x, attributes) end

---@class (exact) hl.op.concat
---@field axis? string|integer[] the axis that grows

---Joins tensors along an axis; they agree in all others.
---`y = x1, then x2, … along the axis`
---@param ... hl.tensor|table inputs, then attributes
---@return hl.tensor
function op.concat(...) end

---@class (exact) hl.op.conv
---@field stride? integer|integer[] step (z, y, x)
---@field padding? integer|integer[] zeros on both sides
---@field dilation? integer|integer[] distance between the kernel's positions (z, y, x)
---@field groups? integer of neighbouring channels that see only each other; as many as channels: depth-wise

---Convolution (correlation) of an image with zero padding.
---`y[n,o,p] = sum(x[n,i,p*stride - padding + k*dilation] * weight[o,i,k]) + bias[o]`
---@param x hl.tensor|number
---@param weight hl.tensor|number
---@param bias? hl.tensor|number
---@param attributes? hl.op.conv
---@return hl.tensor
function op.conv(x, weight, bias, attributes) end

---@class (exact) hl.op.conv_transpose
---@field stride? integer|integer[] step (z, y, x)
---@field padding? integer|integer[] zeros on both sides
---@field dilation? integer|integer[] distance between the kernel's positions (z, y, x)
---@field groups? integer of neighbouring channels that see only each other; as many as channels: depth-wise
---@field output_padding? integer|integer[] extra positions at the far end (z, y, x), less than the stride

---Transposed convolution: the adjoint of a convolution, which enlarges by its stride.
---`y[n,o,p*stride - padding + k*dilation] += x[n,i,p] * weight[i,o,k], then + bias[o]`
---@param x hl.tensor|number
---@param weight hl.tensor|number
---@param bias? hl.tensor|number
---@param attributes? hl.op.conv_transpose
---@return hl.tensor
function op.conv_transpose(x, weight, bias, attributes) end

---@class (exact) hl.op.cumsum
---@field axis string|integer[] the axis to sum along
---@field reverse? boolean begin at the end

---Running sum along an axis.
---`y[i] = x[1] + … + x[i]`
---@param x hl.tensor|number
---@param attributes? hl.op.cumsum
---@return hl.tensor
function op.cumsum(x, attributes) end

---Quotient, element by element. Shapes broadcast as in numpy; the result is an image if one side is.
---`y = a / b`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.div(a, b) end

---@class (exact) hl.op.dropout
---@field rate? number share that is set to 0
---@field seed? integer of what is drawn
---@field stream? integer another number draws others: one for each place
---@field channels? boolean whole channels of an image are dropped

---Sets numbers to 0 at random and scales the others; step, f64[1], is the draw's number.
---`y = 0 with probability rate, else x/(1 - rate), drawn by (seed, stream, step, place)`
---@param x hl.tensor|number
---@param step hl.tensor|number
---@param attributes? hl.op.dropout
---@return hl.tensor
function op.dropout(x, step, attributes) end

---@class (exact) hl.op.elu
---@field alpha? number factor of the exponential part

---Exponential linear unit.
---`y = x if x > 0, alpha*(exp(x) - 1) otherwise`
---@param x hl.tensor|number
---@param attributes? hl.op.elu
---@return hl.tensor
function op.elu(x, attributes) end

---@class (exact) hl.op.ema
---@field decay? number share of the average kept in each step

---One step of an exponential moving average: changes average.
---`average = decay*average + (1-decay)*x`
---@param average hl.tensor|number
---@param x hl.tensor|number
---@param attributes? hl.op.ema
---@return hl.tensor
function op.ema(average, x, attributes) end

---Are a and b the same number? The result is 1 or 0, of the inputs' type; shapes broadcast as in numpy.
---`y = 1 if a == b, else 0`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.equal(a, b) end

---Exponential function.
---`y = exp(x)`
---@param x hl.tensor|number
---@return hl.tensor
function op.exp(x) end

---@class (exact) hl.op.gather
---@field axis? string|integer[] the axis picked from

---Picks elements along an axis by their number, counted from 0, as numpy's take_along_axis does.
---`y[…, i, …] = x[…, index[…, i, …], …]`
---@param x hl.tensor|number
---@param index hl.tensor|number
---@param attributes? hl.op.gather
---@return hl.tensor
function op.gather(x, index, attributes) end

---Gaussian error linear unit, exact.
---`y = x * (1 + erf(x / sqrt(2))) / 2`
---@param x hl.tensor|number
---@return hl.tensor
function op.gelu(x) end

---Gaussian error linear unit by way of tanh.
---`y = x * (1 + tanh(sqrt(2/pi) * (x + 0.044715*x^3))) / 2`
---@param x hl.tensor|number
---@return hl.tensor
function op.gelu_tanh(x) end

---Mean of all voxels of each image and channel, as an image of one voxel.
---`y[n,c] = sum(x[n,c,p]) / voxels`
---@param x hl.tensor|number
---@return hl.tensor
function op.global_avg_pool(x) end

---Is a above b? The result is 1 or 0, of the inputs' type; shapes broadcast as in numpy.
---`y = 1 if a > b, else 0`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.greater(a, b) end

---Is a at least b? The result is 1 or 0, of the inputs' type; shapes broadcast as in numpy.
---`y = 1 if a >= b, else 0`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.greater_equal(a, b) end

---@class (exact) hl.op.group_norm
---@field groups integer of neighbouring channels; divides the channels
---@field eps? number added to the variance
---@field slope? number of the leaky ReLU for negative values; 1: no activation

---Normalises groups of neighbouring channels of each image, then leaky ReLU.
---`y = leaky_relu(scale*(x - mean)/sqrt(var + eps) + offset), biased variance per (n, group)`
---@param x hl.tensor|number
---@param scale? hl.tensor|number
---@param offset? hl.tensor|number
---@param attributes? hl.op.group_norm
---@return hl.tensor
function op.group_norm(x, scale, offset, attributes) end

---@class (exact) hl.op.householder
---@field eps? number added to the sum of squares of a column

---Orthogonal matrices as products of reflections, computed in f64.
---`Q = H_0 H_1 ..., H_i = I - 2 u_i transpose(u_i), u_i = V[:,i] / sqrt(|V[:,i]|^2 + eps)`
---@param V hl.tensor|number
---@param attributes? hl.op.householder
---@return hl.tensor
function op.householder(V, attributes) end

---@class (exact) hl.op.instance_norm
---@field eps? number added to the variance
---@field slope? number of the leaky ReLU for negative values; 1: no activation

---Normalises each channel of each image over its voxels, then leaky ReLU.
---`y = leaky_relu(scale*(x - mean)/sqrt(var + eps) + offset), biased variance per (n,c)`
---@param x hl.tensor|number
---@param scale? hl.tensor|number
---@param offset? hl.tensor|number
---@param attributes? hl.op.instance_norm
---@return hl.tensor
function op.instance_norm(x, scale, offset, attributes) end

---@class (exact) hl.op.interpolate
---@field mode? string linear|nearest|nearest-exact: how samples are taken
---@field align_corners? boolean linear: the first and last samples of both grids coincide
---@field size? integer|integer[] of the result (z, y, x); or give scale
---@field scale? number|number[] size of the result over that of x, rounded down; or give size

---Image on a finer or coarser grid, trilinear or nearest, by size or by scale.
---`y[n,c,i] = x at (i + 1/2)*from/to - 1/2; align_corners: at i*(from - 1)/(to - 1)`
---@param x hl.tensor|number
---@param attributes? hl.op.interpolate
---@return hl.tensor
function op.interpolate(x, attributes) end

---@class (exact) hl.op.leaky_relu
---@field slope? number factor for values below zero; also the derivative at zero

---Positive part plus a small multiple of the negative part.
---`y = x if x > 0, slope*x otherwise`
---@param x hl.tensor|number
---@param attributes? hl.op.leaky_relu
---@return hl.tensor
function op.leaky_relu(x, attributes) end

---Is a below b? The result is 1 or 0, of the inputs' type; shapes broadcast as in numpy.
---`y = 1 if a < b, else 0`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.less(a, b) end

---Is a at most b? The result is 1 or 0, of the inputs' type; shapes broadcast as in numpy.
---`y = 1 if a <= b, else 0`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.less_equal(a, b) end

---Natural logarithm; -infinity at 0, NaN below.
---`y = ln(x)`
---@param x hl.tensor|number
---@return hl.tensor
function op.log(x) end

---@class (exact) hl.op.log_softmax
---@field axis? string|integer[] the axis along which the results sum up to 1

---Logarithm of softmax, exact for logits of any size.
---`y = x - ln(sum of exp(x))`
---@param x hl.tensor|number
---@param attributes? hl.op.log_softmax
---@return hl.tensor
function op.log_softmax(x, attributes) end

---Logarithm of the logistic function, exact for large |x|.
---`y = -ln(1 + exp(-x))`
---@param x hl.tensor|number
---@return hl.tensor
function op.logsigmoid(x) end

---@class (exact) hl.op.logsumexp
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Logarithm of a sum of exponentials along axes, without overflow. The result is plain unless the axes are kept.
---`y = ln(sum of exp(x))`
---@param x hl.tensor|number
---@param attributes? hl.op.logsumexp
---@return hl.tensor
function op.logsumexp(x, attributes) end

---@class (exact) hl.op.matmul
---@field transpose_a? boolean take the matrices of a transposed
---@field transpose_b? boolean take the matrices of b transposed

---Product of matrices as in numpy: leading axes broadcast, vectors are rows on the left and columns on the right.
---`y[…, i, j] = sum over l of a[…, i, l] * b[…, l, j]`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@param attributes? hl.op.matmul
---@return hl.tensor
function op.matmul(a, b, attributes) end

---Orthogonal matrices from free ones by the matrix exponential, computed in f64.
---`Q = exp(A), A = W - transpose(W)`
---@param W hl.tensor|number
---@return hl.tensor
function op.matrix_exp(W) end

---@class (exact) hl.op.max
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Largest element along axes; equal ones share the gradient, NaN wins. The result is plain unless the axes are kept.
---`y = max of x`
---@param x hl.tensor|number
---@param attributes? hl.op.max
---@return hl.tensor
function op.max(x, attributes) end

---@class (exact) hl.op.max_pool
---@field kernel integer|integer[] window (z, y, x)
---@field stride? integer|integer[] step (z, y, x)
---@field padding? integer|integer[] positions added on both sides (z, y, x), less than the kernel
---@field ceil_mode? boolean a last window that begins inside but does not fit counts too

---Maximum over a sliding window; the padding never wins.
---`y[n,c,p] = max(x[n,c,p*stride - padding + k])`
---@param x hl.tensor|number
---@param attributes? hl.op.max_pool
---@return hl.tensor
function op.max_pool(x, attributes) end

---The larger of each pair. Shapes broadcast as in numpy; NaN wins; equal numbers share the gradient.
---`y = a if a > b, else b`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.maximum(a, b) end

---@class (exact) hl.op.mean
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Mean over axes. The result is plain unless the axes are kept.
---`y = sum of x over the axes / number of elements`
---@param x hl.tensor|number
---@param attributes? hl.op.mean
---@return hl.tensor
function op.mean(x, attributes) end

---@class (exact) hl.op.min
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Smallest element along axes; equal ones share the gradient, NaN wins. The result is plain unless the axes are kept.
---`y = min of x`
---@param x hl.tensor|number
---@param attributes? hl.op.min
---@return hl.tensor
function op.min(x, attributes) end

---The smaller of each pair. Shapes broadcast as in numpy; NaN wins; equal numbers share the gradient.
---`y = a if a < b, else b`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.minimum(a, b) end

---Mish: smooth, close to x above 0 and to 0 far below.
---`y = x * tanh(ln(1 + exp(x)))`
---@param x hl.tensor|number
---@return hl.tensor
function op.mish(x) end

---@class (exact) hl.op.mix
---@field sizes? integer[] channels of each output; none: one output with all channels
---@field transpose? boolean use the transposed matrix

---Multiplies the channels of every voxel by a matrix. Several images are taken as one by their channels and dealt out again.
---`y[o] = sum over i of matrix[o,i] * x[i] (transpose: matrix[i,o])`
---@param ... hl.tensor|table inputs, then attributes
---@return hl.tensor
function op.mix(...) end

---Product, element by element. Shapes broadcast as in numpy; the result is an image if one side is.
---`y = a * b`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.mul(a, b) end

---Changes the sign of each element.
---`y = -x`
---@param x hl.tensor|number
---@return hl.tensor
function op.neg(x) end

---@class (exact) hl.op.norm1
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Sum of absolute values along axes. The result is plain unless the axes are kept.
---`y = sum of |x|`
---@param x hl.tensor|number
---@param attributes? hl.op.norm1
---@return hl.tensor
function op.norm1(x, attributes) end

---@class (exact) hl.op.norm2
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Euclidean norm along axes; derivative 0 where it is 0. The result is plain unless the axes are kept.
---`y = sqrt(sum of x*x)`
---@param x hl.tensor|number
---@param attributes? hl.op.norm2
---@return hl.tensor
function op.norm2(x, attributes) end

---@class (exact) hl.op.norm_inf
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Largest absolute value along axes; equal ones share the gradient. The result is plain unless the axes are kept.
---`y = max of |x|`
---@param x hl.tensor|number
---@param attributes? hl.op.norm_inf
---@return hl.tensor
function op.norm_inf(x, attributes) end

---Do a and b differ? The result is 1 or 0, of the inputs' type; shapes broadcast as in numpy.
---`y = 1 if a != b, else 0`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.not_equal(a, b) end

---@class (exact) hl.op.one_hot
---@field classes integer number of classes
---@field axis? string|integer[] the axis of size 1 that becomes the classes

---Class numbers, counted from 0, as one channel per class; other numbers give zeros.
---`y[class] = 1 if x = class, else 0`
---@param x hl.tensor|number
---@param attributes? hl.op.one_hot
---@return hl.tensor
function op.one_hot(x, attributes) end

---@class (exact) hl.op.pad
---@field before? integer|integer[] positions added before each axis (z, y, x); negative: cropped
---@field after? integer|integer[] positions added after each axis; negative: cropped
---@field mode? string constant|reflect|replicate|circular: what the added positions hold; reflect does not repeat the last sample
---@field value? number of constant padding

---Adds positions around an image, or crops it.
---`y[n,c,p] = x[n,c,p - before] inside, outside a value or a sample of x by mode`
---@param x hl.tensor|number
---@param attributes? hl.op.pad
---@return hl.tensor
function op.pad(x, attributes) end

---@class (exact) hl.op.permute
---@field order string|integer[] the axes of x in the order they take in the result

---Puts the axes in another order; the result is plain.
---`axis k of y is axis order[k] of x`
---@param x hl.tensor|number
---@param attributes? hl.op.permute
---@return hl.tensor
function op.permute(x, attributes) end

---@class (exact) hl.op.pow
---@field exponent number the power

---Constant power; NaN where x < 0 and the exponent is not whole.
---`y = x^exponent`
---@param x hl.tensor|number
---@param attributes? hl.op.pow
---@return hl.tensor
function op.pow(x, attributes) end

---@class (exact) hl.op.prod
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Product of elements along axes. The result is plain unless the axes are kept.
---`y = product of x`
---@param x hl.tensor|number
---@param attributes? hl.op.prod
---@return hl.tensor
function op.prod(x, attributes) end

---@class (exact) hl.op.radam
---@field beta1? number share of the old mean kept in each step
---@field beta2? number share of the old mean of squares kept in each step
---@field eps? number added to the root
---@field decay? number weight decay
---@field decoupled? boolean 1: decay shrinks the parameter (AdamW); 0: it is added to the gradient (Adam)

---One step of rectified Adam: changes param, m and v. clock as for adam.
---`m, v as adam; n = 2/(1-beta2) - 1 - 2*step*beta2^step/(1-beta2^step); param -= rate * m/(1-beta1^step) * (n > 5 ? rectifier(n)*sqrt(1-beta2^step)/(sqrt(v)+eps) : 1)`
---@param param hl.tensor|number
---@param grad hl.tensor|number
---@param m hl.tensor|number
---@param v hl.tensor|number
---@param clock hl.tensor|number
---@param attributes? hl.op.radam
---@return hl.tensor
function op.radam(param, grad, m, v, clock, attributes) end

---Reciprocal of each element.
---`y = 1 / x`
---@param x hl.tensor|number
---@return hl.tensor
function op.reciprocal(x) end

---@class (exact) hl.op.regroup
---@field sizes? integer[] channels of each output; none: one output with all channels

---Joins images by channels and deals the channels out again: concatenation, splitting, or both at once.
---`(y1, y2, ...) = split(concat(x1, x2, ...), sizes)`
---@param ... hl.tensor|table inputs, then attributes
---@return hl.tensor
function op.regroup(...) end

---Positive part; derivative 0 at 0.
---`y = max(x, 0)`
---@param x hl.tensor|number
---@return hl.tensor
function op.relu(x) end

---@class (exact) hl.op.resample_down
---@field stride? integer|integer[] size of a window (z, y, x)
---@field sizes? integer[] channels of each output; none: one output with all channels

---Turns each window of voxels into channels, by one matrix per channel. Several images are taken as one by their channels and dealt out again.
---`y[c*s+row](v) = sum over k of matrix[c,row,k] * x[c](window v, voxel k), s = voxels of a window`
---@param ... hl.tensor|table inputs, then attributes
---@return hl.tensor
function op.resample_down(...) end

---@class (exact) hl.op.resample_up
---@field stride? integer|integer[] size of a window (z, y, x)
---@field sizes? integer[] channels of each output; none: one output with all channels

---Turns channels back into windows of voxels: the transpose of resample_down, its inverse where the matrices are orthogonal.
---`y[c](window v, voxel k) = sum over row of matrix[c,row,k] * x[c*s+row](v), s = voxels of a window`
---@param ... hl.tensor|table inputs, then attributes
---@return hl.tensor
function op.resample_up(...) end

---@class (exact) hl.op.reshape
---@field shape integer[] shape of the result

---The same elements in row-major order under another shape; plain tensors only.
---`y = x`
---@param x hl.tensor|number
---@param attributes? hl.op.reshape
---@return hl.tensor
function op.reshape(x, attributes) end

---@class (exact) hl.op.rmsprop
---@field alpha? number share of the old means kept in each step
---@field eps? number added to the root
---@field decay? number weight decay, added to the gradient
---@field momentum? number share of the buffer kept in each step
---@field centred? boolean divides by the deviation from the mean gradient

---One step of RMSprop: changes param, square and, where they are used, mean and buffer. clock as for adam.
---`square = alpha*square + (1-alpha)*g*g; step = g / (sqrt(square - mean*mean) + eps); buffer = momentum*buffer + step; param -= rate*buffer`
---@param param hl.tensor|number
---@param grad hl.tensor|number
---@param clock hl.tensor|number
---@param square hl.tensor|number
---@param mean? hl.tensor|number
---@param buffer? hl.tensor|number
---@param attributes? hl.op.rmsprop
---@return hl.tensor
function op.rmsprop(param, grad, clock, square, mean, buffer, attributes) end

---Reciprocal of the square root; infinity at 0, NaN below.
---`y = 1 / sqrt(x)`
---@param x hl.tensor|number
---@return hl.tensor
function op.rsqrt(x) end

---@class (exact) hl.op.sgd
---@field momentum? number share of the buffer kept in each step
---@field dampening? number share of the gradient that does not enter the buffer, the first step excepted
---@field decay? number weight decay, added to the gradient
---@field nesterov? boolean looks one step of the buffer ahead

---One step of gradient descent: changes param and, with momentum, buffer. clock as for adam.
---`g += decay*param; buffer = first step ? g : momentum*buffer + (1-dampening)*g; param -= rate * (nesterov ? g + momentum*buffer : buffer)`
---@param param hl.tensor|number
---@param grad hl.tensor|number
---@param clock hl.tensor|number
---@param buffer? hl.tensor|number
---@param attributes? hl.op.sgd
---@return hl.tensor
function op.sgd(param, grad, clock, buffer, attributes) end

---Logistic function.
---`y = 1 / (1 + exp(-x))`
---@param x hl.tensor|number
---@return hl.tensor
function op.sigmoid(x) end

---Sigmoid linear unit, also called swish.
---`y = x * sigmoid(x)`
---@param x hl.tensor|number
---@return hl.tensor
function op.silu(x) end

---@class (exact) hl.op.slice
---@field start integer[] first element of each axis, counted from 0
---@field stop integer[] end of each axis, not included
---@field step? integer[] steps; none: 1 each

---A box of a tensor, every step-th element of each axis; in Lua also t:at{…}, which counts from 1.
---`y[i, j, …] = x[start + step*(i, j, …)]`
---@param x hl.tensor|number
---@param attributes? hl.op.slice
---@return hl.tensor
function op.slice(x, attributes) end

---@class (exact) hl.op.softmax
---@field axis? string|integer[] the axis along which the results sum up to 1

---Exponentials that sum up to 1 along an axis.
---`y = exp(x) / sum of exp(x)`
---@param x hl.tensor|number
---@param attributes? hl.op.softmax
---@return hl.tensor
function op.softmax(x, attributes) end

---Smooth positive part, without overflow for large x.
---`y = ln(1 + exp(x))`
---@param x hl.tensor|number
---@return hl.tensor
function op.softplus(x) end

---@class (exact) hl.op.sort
---@field axis string|integer[] the axis to sort along
---@field descending? boolean largest first

---Sorts along an axis; gives the numbers and where they stood, counted from 0. Equal numbers keep their order, NaN comes last.
---`y[i] = x[index[i]], y ascending`
---@param x hl.tensor|number
---@param attributes? hl.op.sort
---@return hl.tensor
function op.sort(x, attributes) end

---@class (exact) hl.op.split
---@field axis? string|integer[] the axis that is cut
---@field sizes integer[] size of each part along the axis

---Cuts a tensor along an axis into parts of given sizes.
---`(y1, y2, …) with concat(y1, y2, …) = x`
---@param x hl.tensor|number
---@param attributes? hl.op.split
---@return hl.tensor
function op.split(x, attributes) end

---Square root; NaN below 0.
---`y = sqrt(x)`
---@param x hl.tensor|number
---@return hl.tensor
function op.sqrt(x) end

---Square of each element.
---`y = x*x`
---@param x hl.tensor|number
---@return hl.tensor
function op.square(x) end

---@class (exact) hl.op.std
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout
---@field biased? boolean divide by the number of elements n, not by n - 1

---Standard deviation along axes, unbiased unless asked otherwise; derivative 0 where it is 0. The result is plain unless the axes are kept.
---`y = sqrt(var(x))`
---@param x hl.tensor|number
---@param attributes? hl.op.std
---@return hl.tensor
function op.std(x, attributes) end

---Difference. Shapes broadcast as in numpy; the result is an image if one side is.
---`y = a - b`
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.sub(a, b) end

---@class (exact) hl.op.sum
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout

---Sum over axes. The result is plain unless the axes are kept.
---`y = sum of x over the axes`
---@param x hl.tensor|number
---@param attributes? hl.op.sum
---@return hl.tensor
function op.sum(x, attributes) end

---@class (exact) hl.op.sum_to
---@field shape integer[] shape of the result; none for one number without axes
---@field image? integer layout of the result: 1 image, 0 plain, -1 as x where the result has 5 axes

---Sums over axes until a given shape is left; that shape broadcasts to x's.
---`y = sum of all elements of x that broadcasting would copy from one place`
---@param x hl.tensor|number
---@param attributes? hl.op.sum_to
---@return hl.tensor
function op.sum_to(x, attributes) end

---Hyperbolic tangent.
---`y = tanh(x)`
---@param x hl.tensor|number
---@return hl.tensor
function op.tanh(x) end

---@class (exact) hl.op.top_k
---@field axis string|integer[] the axis to sort along
---@field descending? boolean largest first
---@field k integer how many to keep

---The k largest numbers along an axis, largest first, and where they stood, counted from 0.
---`the first k of sort`
---@param x hl.tensor|number
---@param attributes? hl.op.top_k
---@return hl.tensor
function op.top_k(x, attributes) end

---@class (exact) hl.op.total_norm
---@field order? string 2|1|inf: root of the sum of squares, sum of sizes, or the largest size

---The norm of several tensors as one vector, in f64. Not differentiated.
---`sqrt(sum of x*x), sum of |x|, or max of |x|, over all elements of all inputs`
---@param ... hl.tensor|table inputs, then attributes
---@return hl.tensor
function op.total_norm(...) end

---@class (exact) hl.op.var
---@field axes? string|integer[] axes to go over; none: all
---@field keep? boolean keep them with size 1, and the layout
---@field biased? boolean divide by the number of elements n, not by n - 1

---Variance along axes, unbiased unless asked otherwise. The result is plain unless the axes are kept.
---`y = sum of (x - mean)^2 / (n - 1), or / n`
---@param x hl.tensor|number
---@param attributes? hl.op.var
---@return hl.tensor
function op.var(x, attributes) end

---Takes each element from a where the condition is not 0, else from b. Shapes broadcast as in numpy.
---`y = a if condition != 0, else b`
---@param condition hl.tensor|number
---@param a hl.tensor|number
---@param b hl.tensor|number
---@return hl.tensor
function op.where(condition, a, b) end

return op
