namespace LlamaCluster.Planning;

/// <summary>Weights of one tensor type, summed over matrices.</summary>
/// <param name="Type">GGUF's name, e.g. "Q4_0".</param>
/// <param name="Elements">Each is one multiply-add for each row of activations.</param>
/// <param name="Bytes">As they are stored.</param>
public readonly record struct TypedWeights(string Type, double Elements, double Bytes)
{
    /// <summary>A rank's part.</summary>
    public TypedWeights Share(double fraction) => new(Type, Elements * fraction, Bytes * fraction);
}
