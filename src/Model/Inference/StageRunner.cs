using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// A stage's part of the forward pass for many sequences, whose KV it keeps (<see cref="Step"/> says what a step brings).
/// One caller at a time. The logits of a row depend, in every bit, on its sequence's tokens only: not on what else
/// is in the step, on chunking, on the number of threads or on the number of stages.
/// </summary>
public interface IStage : IDisposable
{
    StageShape Shape { get; }

    /// <summary>[rows, D] activations from the stage before; to be filled before <see cref="Run"/> (the first stage has none).</summary>
    Span<float> Input(int rows);

    /// <summary>Runs the step. A step that cannot be run is refused as a value, and then changes nothing.</summary>
    StepOutcome Run(Step step);

    /// <summary>
    /// [rows, D] activations of the last step for the next stage (the last stage has none), of the chunks that go on there. Valid until the next call.
    /// </summary>
    ReadOnlySpan<float> Output { get; }

    /// <summary>The blocks of a sequence that the stage knows, in the order of positions. Valid until the next call.</summary>
    ReadOnlySpan<int> BlocksOf(ulong sequenceId) => [];

    /// <summary>Forgets a sequence; its blocks may be given to another one from now on. Unknown ids are ignored.</summary>
    void End(ulong sequenceId);

    /// <summary>What blocks held when the stage was made, from one before it. Null: nothing.</summary>
    KeptStates? TakenOver => null;

    /// <summary>Takes the KV out of the stage, which runs no more, for a later one.</summary>
    /// <returns>Null if there is none worth keeping.</returns>
    KeptBlocks? Keep() => null;
}

/// <summary>A stage's KV blocks as bytes, to be kept elsewhere and put back. By the stage's caller, between two steps.</summary>
public interface IKvBlocks
{
    /// <summary>Bytes of one block over all layers of the stage.</summary>
    int BlockBytes { get; }

    /// <summary>Copies out what a block holds. False, and nothing is copied, if it is not full or if some of it cannot be used.</summary>
    /// <param name="destination">[<see cref="BlockBytes"/>]</param>
    bool TryCopyOut(int block, Span<byte> destination);

    /// <summary>
    /// Puts back what was copied out, on a stage of the same layers, slice and KV type. Sequences that begin later may have the block as their prefix.
    /// False, and nothing is changed, if there is no such block or a sequence has it.
    /// </summary>
    /// <param name="source">[<see cref="BlockBytes"/>]</param>
    bool TryCopyIn(int block, ReadOnlySpan<byte> source);
}

/// <inheritdoc/>
/// <remarks>
/// After warm-up a step allocates nothing on the garbage-collected heap but its results. The weights and threads belong to the caller,
/// and must outlive the stage.
/// </remarks>
public sealed class StageRunner : IStage, IKvBlocks
{
    static readonly StepOutcome NoSamples = new StepOutcome.Completed([]);

    readonly LlamaConfig _config;
    readonly StageOptions _options;
    readonly KvPool _pool;
    readonly StageAttention _attention;
    readonly StageBuffers _buffers;
    readonly RowDamage _damage;
    readonly AdapterPass? _adapters;
    readonly ForwardPass _forward;
    readonly SequenceTable _sequences;
    readonly StepSampler? _sampler;
    readonly AttentionChunk[] _chunks;
    readonly int[] _depths;   // of the stage's layers, for each chunk
    int _inputRows;
    int _outputRows;

    /// <param name="exchange">How this rank meets the others of its stage; null where there are none.</param>
    /// <exception cref="ArgumentException">The weights are another rank's.</exception>
    /// <exception cref="OutOfMemoryException">KV pool or buffers do not fit in memory.</exception>
    public StageRunner(
        LlamaConfig config, ShardWeights weights, StageShape shape, StageOptions options, ComputeThreads threads, IRankExchange? exchange = null)
    {
        (_config, Shape, _options) = (config, shape, options);
        exchange ??= new SoleRank();
        var slice = weights.Slice;
        if ((slice.Rank, slice.RankCount) != (exchange.Rank, exchange.RankCount))
            throw new ArgumentException($"weights of rank {slice.Rank} of {slice.RankCount} at rank {exchange.Rank} of {exchange.RankCount}", nameof(exchange));
        var widest = Math.Max(config.HiddenSize, Math.Max(slice.WidestAttended(config.HeadSize), slice.WidestFfn));
        if ((long)options.MaxStepRows * widest > int.MaxValue)
            throw new ArgumentException($"steps of {options.MaxStepRows} rows of {widest} numbers; they may have {int.MaxValue} in all", nameof(options));
        KvBlockLayout LayoutOf(int layer) => StageMemory.KvLayoutOf(config, slice, layer, options.KvType);
        var kept = options.Kept is { IsEmpty: false } before && before.HasLayouts(shape.FirstLayer, shape.EndLayer, LayoutOf) ? before : null;
        kept?.KeepFirst(options.KvBlockCount);
        _pool = new KvPool(
            options.KvBlockCount,
            layer => kept?.Take(shape.FirstLayer + layer, options.KvBlockCount) ?? new KvLayer(LayoutOf(shape.FirstLayer + layer), options.KvBlockCount),
            shape.LayerCount);
        _attention = new StageAttention(config, shape, slice, options, _pool, threads.Count);
        var maxVocabulary = options.Adapters?.MaxVocabulary ?? config.VocabularySize;
        _buffers = new StageBuffers(config, shape, slice, weights.WidestMatrix, options.MaxStepRows, maxVocabulary);
        _damage = new RowDamage(shape, options.MaxStepRows);
        _adapters = options.Adapters is { } adapters ? new AdapterPass(config, shape, slice, _buffers, adapters.MaxRank, threads) : null;
        _forward = new ForwardPass(config, shape, weights, _buffers, _attention, _damage, threads, exchange, _adapters);
        TakenOver = kept?.States;
        _sequences = new SequenceTable(config, shape, options, TakenOver);
        _sampler = shape.HasHead ? new StepSampler(config, _buffers, _forward, slice, exchange, maxVocabulary) : null;
        (_chunks, _depths) = (new AttentionChunk[options.MaxStepRows], new int[options.MaxStepRows]);
    }

    public StageShape Shape { get; }

    /// <summary>KV pool and buffers; the weights have their own <see cref="ShardWeights.Bytes"/>.</summary>
    public long Bytes => _pool.Bytes + _buffers.Bytes + (_adapters?.Bytes ?? 0);

    public ReadOnlySpan<float> Output => Shape.HasHead ? [] : _buffers.Stream[..(_outputRows * _config.HiddenSize)];

    public Span<float> Input(int rows)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rows, _options.MaxStepRows);
        _buffers.Rows = _inputRows = rows;
        return _buffers.Stream;
    }

    public StepOutcome Run(Step step)
    {
        var given = _inputRows;
        _inputRows = 0;
        if (_sequences.Admit(step, Shape.Embeds ? null : given) is { } reason) return new StepOutcome.Refused(reason);

        for (var i = 0; i < step.Copies.Count; i++) _pool.Copy(step.Copies[i].Source, step.Copies[i].Target);
        var chunks = Begin(step);
        _forward.RunLayers(chunks, _depths.AsSpan(0, chunks.Length));
        FindDamage(step);
        IReadOnlyList<SequenceSamples> samples = [];
        if (_sampler is not null) samples = _sampler.Run(step.Chunks, _sequences);
        else for (var i = 0; i < step.Chunks.Count; i++) _sequences[step.Chunks[i].SequenceId].Advance(step.Chunks[i], accepted: null);
        _outputRows = step.RowsBeyond(Shape.EndLayer);
        _sequences.Finish();
        return Completed(step, samples);
    }

    public ReadOnlySpan<int> BlocksOf(ulong sequenceId) => _sequences[sequenceId].Blocks;

    public void End(ulong sequenceId) => _sequences.End(sequenceId);

    public KeptStates? TakenOver { get; }

    public KeptBlocks? Keep()
    {
        if (_sequences.Keep() is not { } states) return null;
        var layers = _pool.TakeLayers();
        var kept = new KeptBlocks(states with { FirstLayer = Shape.FirstLayer, EndLayer = Shape.EndLayer }, layers);
        kept.KeepOnly(states.FirstLayer, states.EndLayer);
        return kept;
    }

    public int BlockBytes => _pool.BlockBytes;

    public bool TryCopyOut(int block, Span<byte> destination)
    {
        if (!_sequences.IsWhole(block)) return false;
        _pool.CopyOut(block, destination);
        return true;
    }

    public bool TryCopyIn(int block, ReadOnlySpan<byte> source)
    {
        if (!_sequences.TryFill(block)) return false;
        _pool.CopyIn(block, source);
        return true;
    }

    public void Dispose()
    {
        _sequences.Dispose();
        _adapters?.Dispose();
        _buffers.Dispose();
        _attention.Dispose();
        _pool.Dispose();
    }

    /// <summary>Lays out the rows, and fills in those that come from tokens. Those of sequences known to be damaged become zeros.</summary>
    ReadOnlySpan<AttentionChunk> Begin(Step step)
    {
        var rows = 0;
        for (var i = 0; i < step.Chunks.Count; i++)
        {
            _chunks[i] = _sequences[step.Chunks[i].SequenceId].Chunk(rows, step.Chunks[i]);
            _depths[i] = Math.Min(step.Chunks[i].Depth, Shape.EndLayer) - Shape.FirstLayer;
            rows += step.Chunks[i].Count;
        }

        _buffers.Rows = rows;
        if (_adapters is not null) FindAdapters(step, rows);
        if (Shape.Embeds)
        {
            for (var i = 0; i < step.Chunks.Count; i++)
                _forward.Embed(step.Chunks[i].Tokens.Span, _chunks[i].FirstRow, _sequences[step.Chunks[i].SequenceId].Adapter);
        }
        for (var i = 0; i < step.Chunks.Count; i++)
            if (_sequences[step.Chunks[i].SequenceId].IsDamaged) Rows(_chunks[i].FirstRow, _chunks[i].Rows).Clear();
        return _chunks.AsSpan(0, step.Chunks.Count);
    }

    void FindAdapters(Step step, int rows)
    {
        _adapters!.Rows.Clear();
        for (var i = 0; i < step.Chunks.Count; i++) _adapters.Rows.Add(_sequences[step.Chunks[i].SequenceId].Adapter, step.Chunks[i].Count);
        _adapters.Rows.Gather(rows);
    }

    /// <summary>
    /// Finds the sequences that this step has damaged. All ranks find the same ones, since they have the same activations. Rows of damaged sequences
    /// become NaN, from the first bad one on, so that the next stage finds them too.
    /// </summary>
    void FindDamage(Step step)
    {
        var allFinite = RowDamage.IsFinite(_buffers.Stream);
        for (var i = 0; i < step.Chunks.Count; i++)
        {
            var (chunk, rows) = (step.Chunks[i], _chunks[i]);
            if (_sequences[chunk.SequenceId].IsDamaged) Rows(rows.FirstRow, rows.Rows).Fill(float.NaN);
            else if (!allFinite && _damage.First(_buffers.Stream, rows.FirstRow, rows.Rows) is { } row)
            {
                var position = chunk.Start + row - rows.FirstRow;
                _sequences.Damage(chunk, position, $"{_damage.Place(row)} are not finite at position {position}");
                Rows(row, rows.FirstRow + rows.Rows - row).Fill(float.NaN);
            }
        }
    }

    StepOutcome Completed(Step step, IReadOnlyList<SequenceSamples> samples)
    {
        List<SequenceFailure>? failures = null;
        for (var i = 0; i < step.Chunks.Count; i++)
        {
            var sequence = _sequences[step.Chunks[i].SequenceId];
            if (sequence.Failure is { } reason) (failures ??= []).Add(new SequenceFailure(step.Chunks[i].SequenceId, reason, sequence.IsSound));
        }
        if (failures is not null) return new StepOutcome.Completed(samples) { Failures = failures };
        return samples.Count == 0 ? NoSamples : new StepOutcome.Completed(samples);
    }

    Span<float> Rows(int first, int count) => _buffers.Stream.Slice(first * _config.HiddenSize, count * _config.HiddenSize);
}
