/*
 * The supervisor's healing, compiled a second time over simulated processes: heal.c, life.c and
 * death.c are the daemon's own; what they call to touch the machine is sim/children.c's. Included
 * before everything else in these files, so that both sets can be in one program.
 */
#ifndef MOONWATCH_SIM_HEAL_FAKES_H
#define MOONWATCH_SIM_HEAL_FAKES_H

/* what they define */
#define heal_start          sim_heal_start
#define heal_on_death       sim_heal_on_death
#define heal_on_report      sim_heal_on_report
#define heal_look           sim_heal_look
#define heal_deadline       sim_heal_deadline
#define heal_restart        sim_heal_restart
#define heal_emergency      sim_heal_emergency
#define heal_stop           sim_heal_stop
#define heal_kill_all       sim_heal_kill_all
#define heal_is_over        sim_heal_is_over
#define heal_finish         sim_heal_finish
#define life_permits        sim_life_permits
#define life_change         sim_life_change
#define life_spawn          sim_life_spawn
#define life_begin          sim_life_begin
#define life_take_standby   sim_life_take_standby
#define life_tell_to_end    sim_life_tell_to_end
#define life_end_by_force   sim_life_end_by_force
#define life_press          sim_life_press
#define death_note          sim_death_note
#define death_keep_suspects sim_death_keep_suspects
#define death_healed        sim_death_healed
#define death_unhealed      sim_death_unhealed

/* what they call */
#define child_start             sim_child_start
#define child_signal            sim_child_signal
#define child_reap              sim_child_reap
#define child_is_stopped        sim_child_is_stopped
#define child_abandon           sim_child_abandon
#define world_renew             sim_world_renew
#define notify_send             sim_notify_send
#define incident_begin          sim_incident_begin
#define incident_finish         sim_incident_finish
#define incidents_finish        sim_incidents_finish
#define state_dir_save_suspects sim_state_dir_save_suspects
#define memory_was_killed       sim_memory_was_killed
#define thread_cpu_read         sim_thread_cpu_read

#endif
