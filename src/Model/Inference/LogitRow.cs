namespace LlamaCluster.Model.Inference;

/// <summary>A row of a step that is turned into logits, which say what token <c>Position + 1</c> may be.</summary>
/// <param name="Chunk">Index of the row's chunk.</param>
/// <param name="Row">Row of the step; -1: the one that its sequence has kept from the chunk before.</param>
/// <param name="Sample">Which of the chunk's samples this is, from 0; -1: the next token is known, and only scored.</param>
readonly record struct LogitRow(int Chunk, int Row, int Position, int Sample);
