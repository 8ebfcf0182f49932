"""Weights of the receiver that the sender tunes to its clip, and how they travel.

The sender decodes its own stream. The last layer of a codec-aware network is linear, so the best one for a group of
pictures is the solution of a least-squares problem (`equations`); what of it is worth its bits becomes a
`WeightUpdate`, which goes into the stream as an SEI message with the group's keyframe (`Tuner`). SRVC (Khani et al.,
ICCV 2021) sends whole networks in this way; here a general network is there already.

The least effort changes no weights but one bias: what the network is told of the quantiser (`Teller`).
"""
