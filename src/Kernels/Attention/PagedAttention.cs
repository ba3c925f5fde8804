using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Consecutive positions <c>Start .. Start + Rows</c> of one sequence, which are rows <c>FirstRow ..</c> of the step. Position p is in slot
/// <c>p % 16</c> of block <c>Blocks[FirstBlock + p / 16]</c>, and attends to positions 0 to p.
/// </summary>
/// <param name="FirstBlock">0, unless positions are counted from a later one of the sequence's than its first.</param>
public readonly record struct AttentionChunk(int FirstRow, int Rows, int Start, int[] Blocks, int FirstBlock = 0);

/// <summary>
/// Causal attention over a paged KV cache, for a step of several sequences. H query heads share G kv heads: a kv head is read once for
/// its group of H / G. A row's result depends, in every bit, only on its own query and on the keys and values of its sequence.
/// <para>
/// A layer may attend to windows (<see cref="AttentionWindow"/>): a row sees the positions in its own window only.
/// </para>
/// </summary>
public sealed unsafe class PagedAttention : IDisposable
{
    readonly KvPool _pool;
    readonly KvBlockLayout _layout;
    readonly AttentionKernel _kernel;
    readonly AttentionView _all;
    readonly AttentionView? _windows;
    readonly int _kvHeads;
    readonly int _headSize;
    readonly int _group;
    readonly int _taskQueries;
    readonly long _scratchLength;
    readonly long _stateLength;
    readonly NativeBuffer<float> _scratch;
    readonly NativeBuffer<float> _partials;
    readonly int[] _blocks;
    readonly int[] _slots;
    int _rows;

    /// <param name="heads">H, a multiple of the pool's G.</param>
    /// <param name="maxRows">The most rows of one step.</param>
    /// <param name="maxSequenceLength">The most positions of one sequence.</param>
    /// <param name="threads">The most threads that will compute.</param>
    /// <param name="window">What layers see that attend to windows; none by default.</param>
    /// <param name="layer">One of the layers that this is for: all of them have its layout.</param>
    public PagedAttention(KvPool pool, int heads, int maxRows, int maxSequenceLength, int threads, AttentionWindow window = default, int layer = 0)
    {
        var layout = pool.LayoutOf(layer);
        (_pool, _layout, _kvHeads, _headSize, _group) = (pool, layout, layout.KvHeads, layout.HeadSize, heads / layout.KvHeads);
        _kernel = AttentionKernel.For(layout, KernelWidths.Chosen);
        _all = new AttentionView(new AttentionPlan(_kvHeads, _group, maxRows, maxSequenceLength, split: threads > 1), maxRows);
        _windows = window switch
        {
            { Positions: 0 } => null,
            { Slides: true } => new AttentionView(
                new AttentionPlan(_kvHeads, _group, maxRows, maxSequenceLength, split: threads > 1, reach: window.Positions), maxRows),
            _ => new AttentionView(
                new AttentionPlan(_kvHeads, _group, maxRows, Math.Min(window.Positions, maxSequenceLength), split: threads > 1),
                maxRows, cut: window.Positions),
        };
        _taskQueries = AttentionPlan.MaxQueries(_group);
        _stateLength = AttentionState.Length(layout, _group);
        _partials = new NativeBuffer<float>(checked(Math.Max(_all.Plan.PartialStates, _windows?.Plan.PartialStates ?? 0) * _stateLength));
        _scratchLength = (AttentionScratch.Length(layout, _taskQueries) + 15) / 16 * 16;
        _scratch = new NativeBuffer<float>(checked(_scratchLength * threads));
        _blocks = new int[maxRows];
        _slots = new int[maxRows];
    }

    /// <summary>Says which rows the next calls are about, for all layers of a step. Rows are those of the chunks, in order.</summary>
    public void Begin(ReadOnlySpan<AttentionChunk> chunks)
    {
        _rows = 0;
        foreach (var chunk in chunks)
        {
            for (var position = chunk.Start; position < chunk.Start + chunk.Rows; position++, _rows++)
            {
                _blocks[_rows] = chunk.Blocks[chunk.FirstBlock + (position / KvBlock.Positions)];
                _slots[_rows] = position % KvBlock.Positions;
            }
        }
        _all.Set(chunks);
        _windows?.Set(chunks);
    }

    /// <summary>Puts the rows' keys and values [B, G, E] into their blocks.</summary>
    /// <returns>
    /// Whether all of them are finite. Those that are not leave in the pool what was there (finite numbers, of whatever sequence): what rows attend to
    /// there must not be used.
    /// </returns>
    public bool Store(ComputeThreads threads, int layer, ReadOnlySpan<float> keys, ReadOnlySpan<float> values)
    {
        CheckLength(keys.Length, _rows * (long)_kvHeads * _headSize, nameof(keys));
        CheckLength(values.Length, _rows * (long)_kvHeads * _headSize, nameof(values));
        fixed (float* k = keys, v = values)
        {
            var job = new StoreJob { Attention = this, Layer = layer, Keys = k, Values = v };
            threads.Run(ref job);
            return job.NotFinite == 0;
        }
    }

    /// <summary>output[B, H, E] = softmax(q . k / sqrt(E)) . v over each row's own and earlier positions, which have been stored.</summary>
    /// <param name="inWindow">Only over those of its window.</param>
    public void Attend(ComputeThreads threads, int layer, ReadOnlySpan<float> queries, Span<float> output, bool inWindow = false)
    {
        var view = inWindow ? _windows ?? throw new InvalidOperationException("no window was given") : _all;
        CheckLength(queries.Length, _rows * (long)_kvHeads * _group * _headSize, nameof(queries));
        CheckLength(output.Length, queries.Length, nameof(output));
        if (threads.Count * _scratchLength > _scratch.Length) throw new ArgumentException("more threads than there is scratch memory for", nameof(threads));
        fixed (float* q = queries, o = output)
        {
            var job = new AttendJob { Attention = this, View = view, Layer = layer, Queries = q, Output = o };
            threads.Run(ref job);
            if (view.Plan.SplitRows.IsEmpty) return;
            var join = new JoinJob { Attention = this, View = view, Output = o };
            threads.Run(ref join);
        }
    }

    public void Dispose()
    {
        _scratch.Dispose();
        _partials.Dispose();
    }

    static void CheckLength(long actual, long expected, string name)
    {
        if (actual != expected) throw new ArgumentException($"{actual} numbers where the step's rows have {expected}", name);
    }

    AttentionState Partial(int index) => AttentionState.At(_partials.Pointer + (index * _stateLength), _layout, _group);

    void Run(AttentionView view, in AttentionTask task, int head, int thread, int layer, float* queries, float* output)
    {
        var scratch = new AttentionScratch(_scratch.Pointer + (thread * _scratchLength), _layout, _taskQueries);
        ref readonly var chunk = ref view[task.Chunk];
        var kvHead = _pool.Head(layer, head, chunk.Blocks, chunk.FirstBlock);
        var position = chunk.Start + task.Row;
        var end = position + task.Rows;
        var rowLength = (long)_kvHeads * _group * _headSize;
        var groupLength = _group * _headSize;
        var offset = ((chunk.FirstRow + task.Row) * rowLength) + ((long)head * groupLength);

        for (var r = 0; r < task.Rows; r++)
            _kernel.TakeQueries(new ReadOnlySpan<float>(queries + offset + (r * rowLength), groupLength), scratch.Queries + (r * _group * _layout.QueryRoom));

        var reach = view.Plan.Reach;
        if (task.Partition >= 0)
        {
            var first = task.Partition * AttentionPlan.PartitionPositions;
            end = Math.Min(end, first + AttentionPlan.PartitionPositions);
            _kernel.Attend(kvHead, 1, _group, position, first, end, reach, scratch, Partial(task.PartialState + head));
            return;
        }

        var begin = view.Plan.FirstPartition(position) * AttentionPlan.PartitionPositions;
        for (var first = begin; first < end; first += AttentionPlan.PartitionPositions)
        {
            var partitionEnd = Math.Min(end, first + AttentionPlan.PartitionPositions);
            _kernel.Attend(kvHead, task.Rows, _group, position, first, partitionEnd, reach, scratch, first == begin ? scratch.Total : scratch.Part);
            if (first > begin) _kernel.Add(scratch.Part, scratch.Total, Math.Max(0, first - position) * _group, task.Rows * _group);
        }
        for (var r = 0; r < task.Rows; r++)
            _kernel.Finish(scratch.Total, r * _group, _group, output + offset + (r * rowLength));
    }

    void Join(in SplitRow row, int head, float* output)
    {
        var total = Partial(row.FirstState + head);
        for (var p = 1; p < row.Partitions; p++) _kernel.Add(Partial(row.FirstState + (p * _kvHeads) + head), total, 0, _group);
        _kernel.Finish(total, 0, _group, output + ((((long)row.Row * _kvHeads) + head) * _group * _headSize));
    }

    struct StoreJob : IComputeJob
    {
        public PagedAttention Attention;
        public int Layer;
        public float* Keys;
        public float* Values;
        public int NotFinite;

        public void Run(int thread, int threads)
        {
            var (heads, headSize) = (Attention._kvHeads, Attention._headSize);
            var items = (long)Attention._rows * heads;
            var end = items * (thread + 1) / threads;
            for (var i = items * thread / threads; i < end; i++)
            {
                var (row, head) = ((int)(i / heads), (int)(i % heads));
                float* key = Keys + (i * headSize), value = Values + (i * headSize);
                if (float.IsNaN(RowMath.Chosen.MaxOfFinite(key, headSize)) || float.IsNaN(RowMath.Chosen.MaxOfFinite(value, headSize)))
                    NotFinite = 1;
                else
                    Attention._kernel.Store(Attention._pool.HeadTile(Layer, Attention._blocks[row], head), Attention._slots[row], key, value);
            }
        }
    }

    struct AttendJob : IComputeJob
    {
        public PagedAttention Attention;
        public AttentionView View;
        public int Layer;
        public float* Queries;
        public float* Output;
        int _taken;

        /// <summary>Tasks differ in cost: each thread takes the next one, last first.</summary>
        public void Run(int thread, int threads)
        {
            var tasks = View.Plan.Tasks;
            var items = tasks.Length * Attention._kvHeads;
            for (int item; (item = items - Interlocked.Increment(ref _taken)) >= 0;)
                Attention.Run(View, tasks[item / Attention._kvHeads], item % Attention._kvHeads, thread, Layer, Queries, Output);
        }
    }

    struct JoinJob : IComputeJob
    {
        public PagedAttention Attention;
        public AttentionView View;
        public float* Output;

        public readonly void Run(int thread, int threads)
        {
            var rows = View.Plan.SplitRows;
            var heads = Attention._kvHeads;
            for (var item = thread; item < rows.Length * heads; item += threads)
                Attention.Join(rows[item / heads], item % heads, Output);
        }
    }
}
