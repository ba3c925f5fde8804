namespace LlamaCluster.Text;

/// <summary>What <see cref="StopMatcher"/> makes of a piece of text.</summary>
/// <param name="Text">May be given to the user now: no stop string starts in it.</param>
/// <param name="Stop">The stop string that was hit; the generation ends here. Null if none was.</param>
public readonly record struct StopMatch(string Text, string? Stop);
