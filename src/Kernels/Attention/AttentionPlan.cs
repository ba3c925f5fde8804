namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Rows of one chunk that one thread attends with at a time, once for each kv head: over all their positions, or, of a single row, over
/// one partition only, whose result is kept to be added up afterwards.
/// </summary>
/// <param name="Row">First row, counted within the chunk.</param>
/// <param name="Partition">Which partition; -1: all of them, in order.</param>
/// <param name="PartialState">Where the result of the partition is kept: the index of its first kv head's state.</param>
readonly record struct AttentionTask(int Chunk, int Row, int Rows, int Partition, int PartialState);

/// <summary>A row whose positions were split over several tasks, partition by partition.</summary>
/// <param name="Row">Row of the step.</param>
/// <param name="FirstState">Its partial states are <c>[Partitions, G]</c> from here on.</param>
readonly record struct SplitRow(int Row, int Partitions, int FirstState);

/// <summary>
/// How a step's attention is divided into tasks; the same for every layer. Results do not depend on it: rows are independent of each
/// other, and a row's positions are always taken in partitions of the same size and added up in the same order.
/// </summary>
sealed class AttentionPlan
{
    /// <summary>Positions of one partition, a multiple of <see cref="AttentionKernel.TilePositions"/>.</summary>
    public const int PartitionPositions = 512;

    /// <summary>A task takes as many rows as give about this many queries, which share what is read of keys and values.</summary>
    const int TaskQueries = 32;

    /// <summary>Chunks of so few rows are split by partitions where their context is long, to give every thread some of it.</summary>
    const int RowsToSplit = 4;

    readonly int _kvHeads;
    readonly int _reach;
    readonly int _rowsPerTask;
    readonly int _partialStates;
    readonly AttentionTask[] _tasks;
    readonly SplitRow[] _splitRows;
    int _taskCount;
    int _splitRowCount;
    int _usedStates;

    /// <param name="reach">Positions that a row sees at most, its own and those before it; <see cref="int.MaxValue"/>: all.</param>
    public AttentionPlan(int kvHeads, int group, int maxRows, int maxSequenceLength, bool split, int reach = int.MaxValue)
    {
        (_kvHeads, _reach) = (kvHeads, reach);
        _rowsPerTask = Math.Max(1, TaskQueries / group);
        // What a row sees may begin anywhere in a partition, and then ends in one more.
        var seen = (int)Math.Min(maxSequenceLength, (long)reach + PartitionPositions);
        var partitions = split ? checked(RowsToSplit * Partitions(seen)) : 0;
        _partialStates = checked(partitions * kvHeads);
        _tasks = new AttentionTask[checked(maxRows + partitions)];
        _splitRows = new SplitRow[maxRows];
    }

    /// <summary>The most queries of one task, for a group of this size.</summary>
    public static int MaxQueries(int group) => Math.Max(1, TaskQueries / group) * group;

    /// <summary>How many partial states there must be room for.</summary>
    public int PartialStates => _partialStates;

    /// <summary>Costly ones tend to stand last: a chunk's later rows see more.</summary>
    public ReadOnlySpan<AttentionTask> Tasks => _tasks.AsSpan(0, _taskCount);

    public ReadOnlySpan<SplitRow> SplitRows => _splitRows.AsSpan(0, _splitRowCount);

    /// <summary>Positions that a row sees at most.</summary>
    public int Reach => _reach;

    /// <summary>The partition with the first position that the row at a position sees.</summary>
    public int FirstPartition(int position) => Math.Max(0, position - _reach + 1) / PartitionPositions;

    public static int Partitions(int positions) => (positions + PartitionPositions - 1) / PartitionPositions;

    public void Set(ReadOnlySpan<AttentionChunk> chunks)
    {
        (_taskCount, _splitRowCount, _usedStates) = (0, 0, 0);
        for (var c = 0; c < chunks.Length; c++)
        {
            var chunk = chunks[c];
            for (var row = 0; row < chunk.Rows;)
            {
                if (chunk.Rows <= RowsToSplit && TrySplit(c, chunk, row))
                {
                    row++;
                    continue;
                }
                var rows = RowsOfTask(chunk.Start + row, chunk.Rows - row);
                _tasks[_taskCount++] = new AttentionTask(c, row, rows, Partition: -1, PartialState: -1);
                row += rows;
            }
        }
    }

    /// <summary>Rows of a task begin in the same partition.</summary>
    int RowsOfTask(int position, int left)
    {
        var rows = Math.Min(_rowsPerTask, left);
        while (rows > 1 && FirstPartition(position + rows - 1) != FirstPartition(position)) rows--;
        return rows;
    }

    bool TrySplit(int index, in AttentionChunk chunk, int row)
    {
        var first = FirstPartition(chunk.Start + row);
        var partitions = Partitions(chunk.Start + row + 1) - first;
        if (partitions == 1 || partitions * _kvHeads > _partialStates - _usedStates) return false;

        _splitRows[_splitRowCount++] = new SplitRow(chunk.FirstRow + row, partitions, _usedStates);
        for (var p = first; p < first + partitions; p++, _usedStates += _kvHeads)
            _tasks[_taskCount++] = new AttentionTask(index, row, 1, p, _usedStates);
        return true;
    }
}
