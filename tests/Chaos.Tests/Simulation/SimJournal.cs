using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Execution;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>What a simulated stage has sent on, one number a position. It is the worker's, and follows the rules of <see cref="ActivationJournal"/>.</summary>
sealed class SimJournal
{
    ulong[] _rows = [];
    int[] _filled = [];   // by block: positions from its first on
    int _endLayer;
    (ulong View, ulong LastStep) _last;

    /// <summary>A view begins, with what is left of those before.</summary>
    public void Begin(int endLayer, int blocks, RanViews before)
    {
        var goesOn = endLayer == _endLayer && before.Views.Any(view => view.Version == _last.View && view.LastStep <= _last.LastStep);
        _endLayer = endLayer;
        Array.Resize(ref _filled, blocks);
        Array.Resize(ref _rows, blocks * KvBlock.Positions);
        if (!goesOn) Array.Clear(_filled);
    }

    public void End(ulong view, ulong lastStep) => _last = (view, lastStep);

    /// <summary>A bit for each block that is whole here and can be used in the stage's last layer.</summary>
    public byte[] WholeOf(KeptStates states)
    {
        var whole = new byte[(states.From.Length + 7) / 8];
        for (var block = 0; block < Math.Min(states.From.Length, _filled.Length); block++)
            if (states.From[block] < states.EndLayer && _filled[block] == KvBlock.Positions) whole[block / 8] |= (byte)(1 << (block % 8));
        return whole;
    }

    public void Add(Step step, SimStage stage, ulong[] output)
    {
        foreach (var (source, target) in step.Copies)
        {
            Array.Copy(_rows, source * KvBlock.Positions, _rows, target * KvBlock.Positions, KvBlock.Positions);
            _filled[target] = _filled[source];
        }
        for (var (row, i) = (0, 0); row < output.Length; i++)
            for (var position = step.Chunks[i].Start; position < step.Chunks[i].Start + step.Chunks[i].Count; position++, row++)
            {
                var slot = stage.SlotOf(step.Chunks[i].SequenceId, position);
                var (block, place) = (slot / KvBlock.Positions, slot % KvBlock.Positions);
                _rows[slot] = output[row];
                if (place <= _filled[block]) _filled[block] = place + 1;
            }
    }

    /// <returns>Null: some of it is not here.</returns>
    public ulong[]? Read(IReadOnlyList<ReplayedChunk> chunks)
    {
        if (chunks.Any(chunk => chunk.Blocks.Any(block => _filled[block] < KvBlock.Positions))) return null;
        return
        [
            .. from chunk in chunks
               from place in Enumerable.Range(chunk.First, chunk.Count)
               select _rows[chunk.Blocks[place / KvBlock.Positions] * KvBlock.Positions + place % KvBlock.Positions],
        ];
    }
}
