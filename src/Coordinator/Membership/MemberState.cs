namespace LlamaCluster.Coordinator.Membership;

public enum MemberState
{
    /// <summary>Registered, but its heartbeat stream has not spoken yet: no plan counts on it.</summary>
    Joining,

    /// <summary>Gives signs of life; plans may include it.</summary>
    Alive,

    /// <summary>Wants to leave: alive, but in no new plan.</summary>
    Draining,

    /// <summary>Gone. Kept a while for people to see.</summary>
    Lost,
}
