//! The rig itself: every server answers, delegations are real, changes travel.
