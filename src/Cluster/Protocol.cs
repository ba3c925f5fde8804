namespace LlamaCluster.Cluster;

/// <summary>The version of the protocols in src/Protos. Processes of different versions do not work together: Register refuses.</summary>
public static class ProtocolVersion
{
    public const uint Current = 10;
}

/// <summary>How big the messages of the protocols may get. Both hosts refuse what is bigger.</summary>
public static class MessageBudgets
{
    /// <summary>Bytes of activations or weights in one frame. An activation row that is longer travels alone.</summary>
    public const int FramePayload = 1 << 20;

    /// <summary>Bytes of a StepPlan or a ModelDescription.</summary>
    public const int Message = 4 << 20;

    /// <summary>Bytes of a message to a method that anyone may call: Register, ListWorkers, Confirm, health.</summary>
    public const int FromAnyone = 64 << 10;

    /// <summary>What gRPC accepts from callers with a key: the largest budget and room for the fields around a payload.</summary>
    public const int Received = Message + (64 << 10);

    /// <summary>D at most: one row of f32 activations must fit in a message.</summary>
    public const int MaxHiddenSize = Message / sizeof(float);

    /// <summary>Vocabularies that a view keeps for grammars. Before another comes, both sides forget all.</summary>
    public const int Vocabularies = 16;

    /// <summary>How many rows of <paramref name="rowBytes"/> bytes one frame carries: as many as fit, but at least one.</summary>
    public static int RowsPerFrame(int rowBytes) => Math.Max(1, FramePayload / rowBytes);
}
