using System.Buffers;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using LlamaCluster.Cluster;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Measuring;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// What a stage has sent on, in a file, if the operator wants it to be kept: when the next stage's machine is lost, whoever takes its place gets the same rows
/// again, and no stage before has to compute anything. It is as if the stage had one layer more, of D floats a position, with the same block ids.
/// <para>
/// No step waits for storage. The stage's thread copies a step's rows, and a thread of its own writes them. If that one is far behind, rows are left out. The
/// file is of use for as long as the process lives, since KV in memory is not there for longer either. So it has no name: nobody else finds it, and the
/// system removes it however the process ends. Checksums of the rows are in memory, so what is read is what was written, or is not used.
/// </para>
/// </summary>
sealed partial class ActivationJournal(WorkerOptions options, TimeProvider time, ILogger<ActivationJournal> logger, WorkerMetrics? metrics = null) : IDisposable
{
    /// <summary>Steps whose rows may be on their way to the file.</summary>
    const int MostJobs = 1024;

    /// <summary>How long what was written last may take, when a view is over.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    SafeFileHandle? _file;
    IoThread _writer = null!;
    int[] _rows = [];     // by block: so many of its positions, from the first on, are in the file or on their way there
    ulong[] _sums = [];   // of each position's row; the writer's until it has nothing left to do
    int _endLayer, _rowBytes;
    long _mostPending, _pending;   // bytes on their way
    (ulong View, ulong LastStep) _last;
    volatile bool _isBroken;

    public bool IsOn => options.JournalFolder is not null;

    /// <summary>Positions that are in it.</summary>
    public long Positions => _isBroken ? 0 : _rows.Sum(rows => (long)rows);

    /// <summary>Bytes of memory that rows on their way to the file take at most.</summary>
    /// <param name="stepBytes">Rows of the largest step.</param>
    public static long BufferBytes(long stepBytes) => ActivationSender.Buffers * stepBytes;

    /// <summary>Makes the file. To be called once, if it is on.</summary>
    /// <exception cref="IOException">It cannot be made. The message is one line.</exception>
    public void Open()
    {
        try
        {
            Directory.CreateDirectory(options.JournalFolder!);
            var path = Path.Combine(options.JournalFolder!, $"activations-{Guid.NewGuid():N}");
            _file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete);
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"--activation-journal: {options.JournalFolder} cannot be written to: {ErrorText.Sentence(e.Message)}", e);
        }
        _writer = new IoThread("the activation journal", MostJobs, time, logger);
    }

    /// <summary>A stage begins to run. What is here stays if it goes on where the last one ended; else all of it is forgotten.</summary>
    /// <param name="hiddenSize">D</param>
    /// <param name="blocks">How many the stage has. The first ones have a place here, as many as the size that was given has room for.</param>
    /// <param name="maxStepRows">The most rows of a step.</param>
    /// <param name="before">The views whose KV the stage goes on with, up to its last layer; null: it has none from before.</param>
    public void Begin(StageShape shape, int hiddenSize, int blocks, int maxStepRows, RanViews? before)
    {
        if (_isBroken) return;
        var rowBytes = hiddenSize * sizeof(float);
        var goesOn = (shape.EndLayer, rowBytes) == (_endLayer, _rowBytes)
            && before?.Views.Any(view => view.Version == _last.View && view.LastStep <= _last.LastStep) == true;
        (_endLayer, _rowBytes, _mostPending) = (shape.EndLayer, rowBytes, BufferBytes((long)maxStepRows * rowBytes));
        var places = (int)Math.Min(blocks, (options.JournalBytes ?? long.MaxValue) / ((long)rowBytes * KvBlock.Positions));
        if (places < blocks) LogSmall(places, blocks);
        Array.Resize(ref _rows, places);
        Array.Resize(ref _sums, places * KvBlock.Positions);
        if (goesOn) return;
        Array.Clear(_rows);
        Try(() => RandomAccess.SetLength(_file!, 0));
    }

    /// <summary>The stage's view is over. What it wrote last is waited for.</summary>
    /// <param name="lastStep">The last that it ran to its end.</param>
    public void End(ulong view, ulong lastStep)
    {
        _last = (view, lastStep);
        var written = new ManualResetEventSlim();
        if (!_isBroken && !(_writer.TryPost(written.Set) && written.Wait(Patience)))
            Break($"storage has not taken what was written for {Patience.TotalSeconds} s");
    }

    /// <summary>
    /// Of blocks that the stage can use in its last layer: whether the rows of all positions are here. A bit for each, the lowest of the first byte first.
    /// </summary>
    public byte[] WholeOf(KeptStates states)
    {
        var whole = new byte[(states.From.Length + 7) / 8];
        for (var block = 0; block < states.From.Length; block++)
            if (states.From[block] < states.EndLayer && IsWhole(block)) whole[block / 8] |= (byte)(1 << (block % 8));
        return whole;
    }

    /// <summary>Takes what a step gave for the next stage. On the stage's thread.</summary>
    public void Add(Step step, IStage stage)
    {
        if (_isBroken) return;
        foreach (var (source, target) in step.Copies) Copy(source, target);
        var rows = step.RowsBeyond(_endLayer);
        List<Part> parts = [];
        for (var (row, i) = (0, 0); row < rows; row += step.Chunks[i++].Count)
        {
            var chunk = step.Chunks[i];
            Divide(chunk.Start, chunk.Count, stage.BlocksOf(chunk.SequenceId), row, parts);
        }
        parts.RemoveAll(part => part.Block >= _rows.Length || part.First > _rows[part.Block]);   // behind rows that are missing, they are of no use
        if (parts.Count > 0) Write(parts, MemoryMarshal.AsBytes(stage.Output)[..(rows * _rowBytes)]);
    }

    /// <summary>The block holds something else from now on. On the stage's thread.</summary>
    public void Forget(int block)
    {
        if (block < _rows.Length) _rows[block] = 0;
    }

    /// <summary>Reads what an earlier view added. On the stage's thread.</summary>
    /// <param name="rows">[rows of all chunks, D]</param>
    /// <returns>Null; or why it is not to be had, in one line. Then nothing of the journal is used from now on.</returns>
    public string? Read(IReadOnlyList<ReplayedChunk> chunks, Span<float> rows)
    {
        List<Part> parts = [];
        var row = 0;
        foreach (var chunk in chunks)
        {
            foreach (var block in chunk.Blocks)
                if (!IsWhole(block)) return Break($"block {block} is asked for, and is not there");
            Divide(chunk.First, chunk.Count, [.. chunk.Blocks], row, parts);
            row += chunk.Count;
        }
        var bytes = MemoryMarshal.AsBytes(rows);
        try
        {
            foreach (var part in parts)
                if (!TryRead(part, bytes.Slice(part.Row * _rowBytes, part.Count * _rowBytes)))
                    return Break($"block {part.Block} reads back as other bytes than were written");
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Break(e.Message);
        }
    }

    /// <summary>Writes what is still to be written, and gives the file up.</summary>
    public void Dispose()
    {
        if (_file is null) return;
        _writer.Dispose();
        _file.Dispose();
    }

    bool IsWhole(int block) => !_isBroken && (uint)block < (uint)_rows.Length && _rows[block] == KvBlock.Positions;

    /// <summary>Appends the parts of a chunk's rows, one for each block.</summary>
    /// <param name="start">Of the chunk, from the beginning of the first block on.</param>
    /// <param name="row">The chunk's first.</param>
    static void Divide(int start, int count, ReadOnlySpan<int> blocks, int row, List<Part> parts)
    {
        for (var position = start; position < start + count;)
        {
            var first = position % KvBlock.Positions;
            var part = new Part(
                blocks[position / KvBlock.Positions], first, Math.Min(KvBlock.Positions - first, start + count - position), row + position - start);
            parts.Add(part);
            position += part.Count;
        }
    }

    /// <summary>Copies rows and has them written. Where that cannot be, the blocks end before them.</summary>
    /// <param name="bytes">[rows, D]</param>
    void Write(List<Part> parts, ReadOnlySpan<byte> bytes)
    {
        var isTaken = TryPost(parts, bytes);
        foreach (var part in parts) _rows[part.Block] = isTaken ? part.First + part.Count : Math.Min(_rows[part.Block], part.First);
    }

    bool TryPost(List<Part> parts, ReadOnlySpan<byte> bytes)
    {
        var length = bytes.Length;
        if (Volatile.Read(ref _pending) + length > _mostPending) return false;
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        bytes.CopyTo(buffer);
        Interlocked.Add(ref _pending, length);
        if (_writer.TryPost(() => Store(parts, buffer, length))) return true;
        GiveBack(buffer, length);
        return false;
    }

    void Copy(int source, int target)
    {
        if (target >= _rows.Length) return;
        var rows = source < _rows.Length ? _rows[source] : 0;
        _rows[target] = rows > 0 && _writer.TryPost(() => Try(() => StoreCopy(source, target, rows))) ? rows : 0;
    }

    void GiveBack(byte[] buffer, int length)
    {
        ArrayPool<byte>.Shared.Return(buffer);
        Interlocked.Add(ref _pending, -length);
    }

    /// <summary>On the writer's thread, as the next one.</summary>
    void Store(List<Part> parts, byte[] buffer, int length)
    {
        Try(() =>
        {
            foreach (var part in parts)
            {
                var rows = buffer.AsSpan(part.Row * _rowBytes, part.Count * _rowBytes);
                for (var i = 0; i < part.Count; i++) _sums[part.Position + i] = SumOf(rows.Slice(i * _rowBytes, _rowBytes));
                RandomAccess.Write(_file!, rows, (long)part.Position * _rowBytes);
            }
            metrics?.JournalWritten(parts.Sum(part => (long)part.Count * _rowBytes));
        });
        GiveBack(buffer, length);
    }

    void StoreCopy(int source, int target, int rows)
    {
        var (from, to) = (new Part(source, 0, rows, 0), new Part(target, 0, rows, 0));
        var bytes = new byte[rows * _rowBytes];
        RandomAccess.Read(_file!, bytes, (long)from.Position * _rowBytes);
        RandomAccess.Write(_file!, bytes, (long)to.Position * _rowBytes);
        _sums.AsSpan(from.Position, rows).CopyTo(_sums.AsSpan(to.Position));   // of what it should be: a bad copy is found when it is read
    }

    /// <returns>False: the file has other bytes than were written.</returns>
    bool TryRead(Part part, Span<byte> rows)
    {
        if (RandomAccess.Read(_file!, rows, (long)part.Position * _rowBytes) != rows.Length) return false;
        for (var i = 0; i < part.Count; i++)
            if (SumOf(rows.Slice(i * _rowBytes, _rowBytes)) != _sums[part.Position + i]) return false;
        return true;
    }

    static ulong SumOf(ReadOnlySpan<byte> row) => XxHash3.HashToUInt64(row);

    /// <summary>Turns to the file. If that fails, nothing of the journal is used from now on.</summary>
    void Try(Action io)
    {
        if (_isBroken) return;
        try
        {
            io();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Break(e.Message);
        }
    }

    string Break(string problem)
    {
        if (!_isBroken) LogBroken(problem);
        _isBroken = true;
        return $"the activation journal cannot be used: {problem}";
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "--activation-journal: {Problem}; what the next stage loses is computed again until this worker is started anew")]
    partial void LogBroken(string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "--activation-journal-size has room for {Places} of {Blocks} KV blocks; what is in others is not kept")]
    partial void LogSmall(int places, int blocks);

    /// <summary>Consecutive positions of a block.</summary>
    /// <param name="Row">Where their rows begin, among those of the step.</param>
    readonly record struct Part(int Block, int First, int Count, int Row)
    {
        /// <summary>Of the first one, in the file.</summary>
        public int Position => Block * KvBlock.Positions + First;
    }
}
